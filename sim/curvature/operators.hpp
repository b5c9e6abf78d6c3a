// Curvature as linear operators: values that are composed from parts (Hessian or Gauss-Newton of a model at fixed
// parameters over a fixed token set, restricted to some parameters) and handed to the solvers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "sim/model/objective.hpp"

namespace hone {

/// A symmetric matrix known by its products.
struct LinearOperator {
  Index size = 0;
  /// result = A v; both of `size`.
  std::function<void(const Vector<double>& v, Vector<double>& result)> apply;
};

/// The principal block of `full` on the given positions: v is embedded with zeros, the product restricted.
LinearOperator restrict_to(LinearOperator full, std::vector<Index> positions);

struct CurvatureOptions {
  ChunkOptions chunks;
  std::int64_t cache_bytes = std::int64_t(2) << 30;  ///< for activations and adjoints kept between products
};

/// Loss, gradient, Hessian and Gauss-Newton products of one model at one point over one set. Values and adjoints
/// of the chunks are computed once and kept within the budget, so that a product costs only the two tangent passes.
/// Products run in the model's scalar; chunks are summed in double in a fixed order, equal for any thread count.
/// expects  model and data outlive this object
/// cost     a Hessian product: 12 flops per parameter and token when cached (a gradient is 6), 18 otherwise;
///          a Gauss-Newton product: 8 cached, 10 otherwise.   source  Pearlmutter 1994; Schraudolph 2002
template <class Model>
class Linearization {
 public:
  using S = typename Model::Scalar;
  using Data = typename Model::Data;
  using Acts = typename Model::Acts;

  Linearization(const Model& model, const double* theta, const Data& data, CurvatureOptions options)
      : model_(model),
        data_(data),
        options_(options),
        plan_(model, Model::example_count(data), options.chunks.rows),
        theta_(theta, theta + model.layout().size()),
        tangent_(theta_.size()),
        gradient_(model.layout().size()),
        workers_(size_t(options.chunks.threads)) {
    EXPECTS(plan_.examples > 0, "linearization: the set has no example");
    evaluate();
  }

  Index size() const { return model_.layout().size(); }
  double loss_nats() const { return loss_; }
  const Vector<double>& gradient() const { return gradient_; }
  Index cached_chunks() const { return Index(cache_.size()); }

  /// result = H v with H the Hessian of the mean loss.   shapes  v, result (P)
  void hessian_product(const Vector<double>& v, Vector<double>& result) { product(v, result, Kind::hessian); }
  /// result = G v with G = mean of J'(∂²l/∂z²)J.
  void ggn_product(const Vector<double>& v, Vector<double>& result) { product(v, result, Kind::ggn); }

  /// Views of this object as operators; they must not outlive it.
  LinearOperator hessian() {
    return {size(), [this](const Vector<double>& v, Vector<double>& r) { hessian_product(v, r); }};
  }
  LinearOperator ggn() {
    return {size(), [this](const Vector<double>& v, Vector<double>& r) { ggn_product(v, r); }};
  }

 private:
  enum class Kind { hessian, ggn };
  struct Primal {
    std::unique_ptr<Acts> x, dx;
  };
  struct Worker {
    ActsPool<Model> x, dx, tx, tdx;
  };

  S weight() const { return S(1.0 / double(plan_.examples * model_.rows_per_example())); }

  /// First pass over all chunks: loss, gradient, and the cache as far as the budget goes.
  void evaluate() {
    reserve_cache();
    std::vector<double> sums(size_t(plan_.count()));
    gradient_.setZero();
    for_waves(
        [&](Index chunk, Worker& worker, S* part) {
          const bool kept = chunk < cached_chunks();
          Acts& x = kept ? *cache_[size_t(chunk)].x : worker.x.get(model_, plan_.size(chunk));
          Acts& dx = kept ? *cache_[size_t(chunk)].dx : worker.dx.get(model_, plan_.size(chunk));
          sums[size_t(chunk)] = model_.forward(theta_.data(), data_, plan_.first(chunk), x, Precision{});
          model_.backward(theta_.data(), x, dx, weight(), part);
        },
        gradient_);
    loss_ = 0;
    for (double s : sums) loss_ += s;
    loss_ /= double(plan_.examples * model_.rows_per_example());
  }

  void reserve_cache() {
    std::int64_t used = 0;
    for (Index chunk = 0; chunk < plan_.count(); ++chunk) {
      Primal primal{std::make_unique<Acts>(model_.make_acts(plan_.size(chunk))), nullptr};
      used += 2 * primal.x->bytes();
      if (used > options_.cache_bytes) break;
      primal.dx = std::make_unique<Acts>(model_.make_acts(plan_.size(chunk)));
      cache_.push_back(std::move(primal));
    }
  }

  void product(const Vector<double>& v, Vector<double>& result, Kind kind) {
    EXPECTS(v.size() == size(), "curvature product: vector of {}, expected {}", v.size(), size());
    for (Index i = 0; i < size(); ++i) tangent_[size_t(i)] = S(v[i]);
    result.setZero(size());
    for_waves(
        [&](Index chunk, Worker& worker, S* part) {
          const Index count = plan_.size(chunk);
          const bool kept = chunk < cached_chunks();
          Acts& x = kept ? *cache_[size_t(chunk)].x : worker.x.get(model_, count);
          Acts* dx = kept ? cache_[size_t(chunk)].dx.get() : nullptr;
          Acts& tx = worker.tx.get(model_, count);
          Acts& tdx = worker.tdx.get(model_, count);
          if (!kept) model_.forward(theta_.data(), data_, plan_.first(chunk), x, Precision{});
          model_.tforward(theta_.data(), tangent_.data(), x, tx);
          if (kind == Kind::ggn) return model_.ggn_backward(theta_.data(), x, tx, tdx, weight(), part);
          if (!kept) {  // the adjoints again; the gradient they add to is thrown away
            dx = &worker.dx.get(model_, count);
            model_.backward(theta_.data(), x, *dx, weight(), part);
            std::fill_n(part, size(), S(0));
          }
          model_.tbackward(theta_.data(), tangent_.data(), x, *dx, tx, tdx, weight(), part);
        },
        result);
  }

  /// body(chunk, worker, zeroed partial sum) for all chunks in waves; the parts are added to total in chunk order.
  template <class Body>
  void for_waves(Body&& body, Vector<double>& total) {
    for (Index wave = 0; wave < plan_.count(); wave += chunks_per_wave) {
      const Index count = std::min(chunks_per_wave, plan_.count() - wave);
      while (Index(partials_.size()) < count) partials_.emplace_back(size_t(size()));
      parallel_for(count, options_.chunks.threads, [&](Index i, int worker) {
        AlignedVector<S>& part = partials_[size_t(i)];
        std::fill(part.begin(), part.end(), S(0));
        body(wave + i, workers_[size_t(worker)], part.data());
      });
      for (Index i = 0; i < count; ++i)
        total += VecView<S>(partials_[size_t(i)].data(), size()).template cast<double>();
    }
  }

  const Model& model_;
  const Data& data_;
  CurvatureOptions options_;
  ChunkPlan plan_;
  AlignedVector<S> theta_, tangent_;
  Vector<double> gradient_;
  double loss_ = 0;
  std::vector<Primal> cache_;
  std::vector<Worker> workers_;
  std::vector<AlignedVector<S>> partials_;
};

}  // namespace hone
