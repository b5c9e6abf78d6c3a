// Definitions of Linearization for any model; those of the four models in production are compiled once, in
// linearization.cpp. Included by linearization.hpp only.
#pragma once

#include "sim/base/vector_ops.hpp"
#include "sim/curvature/linearization.hpp"

namespace hone {

template <class Model>
MemoryPlan plan_memory(const Model& model, Index examples, const CurvatureOptions& options) {
  using S = typename Model::Scalar;
  const ChunkPlan chunks(model, examples, options.chunks.rows);
  const std::int64_t vector_bytes = model.layout().size() * std::int64_t(sizeof(S));
  const auto acts_bytes = [&](Index chunk) { return model.make_acts(chunks.size(chunk)).bytes(); };
  const Index last = chunks.count() - 1;
  const std::int64_t whole = acts_bytes(0), tail = acts_bytes(last);
  const bool is_ragged = chunks.size(last) != chunks.size(0);
  MemoryPlan plan;
  for (Index chunk = 0; chunk < chunks.count(); ++chunk) {
    const std::int64_t more = 2 * (chunk == last ? tail : whole);
    if (plan.cache + more > options.cache_bytes) break;
    plan.cache += more;
    ++plan.cached_chunks;
  }
  plan.vectors = (1 + options.panel) * vector_bytes + model.layout().size() * std::int64_t(sizeof(double));
  for (Index columns = 1; columns <= options.panel; ++columns)
    plan.partials = std::max(
        plan.partials, vector_bytes * columns *
                           std::min(chunks.count(), chunks_at_once(columns * vector_bytes, options.chunks.threads)));
  const std::int64_t workers = std::min<Index>(options.chunks.threads, chunks.count());
  const bool all_cached = plan.cached_chunks == chunks.count();
  plan.arenas = workers * (all_cached ? 2 : 4) * (whole + (is_ragged ? tail : 0));
  return plan;
}

template <class Model>
Linearization<Model>::Linearization(const Model& model, const double* theta, const Data& data, CurvatureOptions options)
    : model_(model),
      data_(data),
      options_(options),
      plan_(model, Model::example_count(data), options.chunks.rows),
      gradient_(model.layout().size()),
      workers_(size_t(options.chunks.threads)) {
  EXPECTS(plan_.examples > 0, "linearization: the set has no example");
  EXPECTS(options.chunks.threads >= 1 && options.panel >= 1, "linearization: {} threads, panel of {} columns",
          options.chunks.threads, options.panel);
  // no more threads than chunks: a thread that comes late must not find arenas to allocate beyond the plan
  options_.chunks.threads = int(std::min<Index>(options.chunks.threads, plan_.count()));
  memory_ = plan_memory(model, plan_.examples, options);
  check_memory(memory_, options);
  theta_.assign(theta, theta + size());
  add_pieces(whole_, 0, size());
  for (const ParamBlock& block : model.layout().blocks())
    if (block.is_quantizable()) add_pieces(quantizable_, block.offset, block.size());
  evaluate();
}

/// Of a length that a thread sums at once.
template <class Model>
void Linearization<Model>::add_pieces(std::vector<Piece>& pieces, Index first, Index count) {
  constexpr Index length = 1 << 14;
  for (Index begin = 0; begin < count; begin += length)
    pieces.push_back({first + begin, std::min(length, count - begin)});
}

template <class Model>
std::int64_t Linearization<Model>::bytes() const {
  std::int64_t scalars = std::int64_t(theta_.size()), acts = 0;
  for (const auto* vectors : {&tangents_, &partials_})
    for (const AlignedVector<S>& v : *vectors) scalars += std::int64_t(v.size());
  for (const Primal& primal : cache_) acts += primal.x->bytes() + primal.dx->bytes();
  for (const Worker& worker : workers_)
    for (const ActsPool<Model>* pool : {&worker.x, &worker.dx, &worker.tx, &worker.tdx}) acts += pool->bytes();
  return scalars * std::int64_t(sizeof(S)) + acts + gradient_.size() * std::int64_t(sizeof(double));
}

/// First pass over all chunks: loss, gradient, and the cache as far as the budget goes.
template <class Model>
void Linearization<Model>::evaluate() {
  for (Index chunk = 0; chunk < memory_.cached_chunks; ++chunk)
    cache_.push_back({std::make_unique<Acts>(model_.make_acts(plan_.size(chunk))),
                      std::make_unique<Acts>(model_.make_acts(plan_.size(chunk)))});
  std::vector<double> sums(size_t(plan_.count()));
  for_chunks(1, Moving::all, gradient_.data(), [&](Index chunk, Worker& worker, Index slot) {
    Acts& x = is_kept(chunk) ? *cache_[size_t(chunk)].x : worker.x.get(model_, plan_.size(chunk));
    Acts& dx = is_kept(chunk) ? *cache_[size_t(chunk)].dx : worker.dx.get(model_, plan_.size(chunk));
    sums[size_t(chunk)] = model_.forward(theta_.data(), data_, plan_.first(chunk), x, Precision{});
    model_.backward(theta_.data(), x, dx, weight(), partials_[size_t(slot)].data());
  });
  for (double s : sums) loss_ += s;
  loss_ *= options_.loss_scale / double(plan_.examples * model_.rows_per_example());
}

template <class Model>
LinearOperator Linearization<Model>::sampled_fisher(SampledFisherOptions options) {
  EXPECTS(options.samples >= 1, "sampled_fisher: {} samples per token", options.samples);
  return operator_of({Kind::sampled_fisher, Moving::all, FisherUnit::token, options});
}

template <class Model>
LinearOperator Linearization<Model>::operator_of(Product product) {
  const auto one = [this, product](const Vector<double>& v, Vector<double>& result) {
    EXPECTS(v.size() == size(), "curvature product: vector of {}, expected {}", v.size(), size());
    result.resize(size());
    multiply_panel(product, 1, v.data(), result.data());
  };
  const auto many = [this, product](const Basis& v, Basis& result) {
    EXPECTS(v.rows() == size(), "curvature product: vectors of {}, expected {}", v.rows(), size());
    result.resize(size(), v.cols());
    for (Index first = 0; first < v.cols(); first += options_.panel)
      multiply_panel(product, std::min(options_.panel, v.cols() - first), v.data() + first * size(),
                     result.data() + first * size());
  };
  return {size(), one, many};
}

template <class Model>
void Linearization<Model>::multiply_panel(const Product& product, Index columns, const double* v, double* result) {
  while (Index(tangents_.size()) < columns) tangents_.emplace_back(size_t(size()));
  for (Index j = 0; j < columns; ++j) narrow<S>(tangents_[size_t(j)].data(), v + j * size(), size());
  for_chunks(columns, product.moving, result,
             [&](Index chunk, Worker& worker, Index slot) { chunk_products(product, columns, chunk, worker, slot); });
}

template <class Model>
void Linearization<Model>::chunk_products(const Product& product, Index columns, Index chunk, Worker& worker,
                                          Index slot) {
  const Index count = plan_.size(chunk);
  Acts& x = is_kept(chunk) ? *cache_[size_t(chunk)].x : worker.x.get(model_, count);
  Acts* dx = is_kept(chunk) ? cache_[size_t(chunk)].dx.get() : nullptr;
  if (!is_kept(chunk)) model_.forward(theta_.data(), data_, plan_.first(chunk), x, Precision{});
  if (!dx && product.kind == Kind::hessian) {  // the adjoints again; the gradient they add to is thrown away
    dx = &worker.dx.get(model_, count);
    AlignedVector<S>& sink = partials_[size_t(slot)];
    model_.backward(theta_.data(), x, *dx, weight(), sink.data());
    std::fill(sink.begin(), sink.end(), S(0));
  }
  Acts& tx = worker.tx.get(model_, count);
  Acts& tdx = worker.tdx.get(model_, count);
  for (Index j = 0; j < columns; ++j) {
    const S* tangent = tangents_[size_t(j)].data();
    S* part = partials_[size_t(slot + j)].data();
    model_.tforward(theta_.data(), tangent, x, tx, product.moving);
    switch (product.kind) {
      case Kind::hessian:
        model_.tbackward(theta_.data(), tangent, x, *dx, tx, tdx, weight(), part, product.moving);
        break;
      case Kind::ggn: model_.ggn_backward(theta_.data(), x, tx, tdx, weight(), part); break;
      case Kind::empirical_fisher:
      case Kind::sampled_fisher: fisher_backward(product, chunk, x, tx, tdx, part); break;
    }
  }
}

template <class Model>
void Linearization<Model>::fisher_backward(const Product& product, Index chunk, const Acts& x, const Acts& tx,
                                           Acts& tdx, S* part) {
  const Block<S> scores = tdx.probs;  // no pass uses the probabilities of an adjoint
  tdx.logits.view().setZero();
  if (product.kind == Kind::empirical_fisher) {
    data_scores(model_, x, scores);
    const Index rows = product.unit == FisherUnit::token ? 1 : model_.rows_per_example();
    add_score_products<S>(tdx.logits, scores, tx.logits, rows, double(weight()));
  } else {
    const Index first_row = plan_.first(chunk) * model_.rows_per_example();
    for (std::uint32_t sample = 0; sample < product.sampled.samples; ++sample) {
      sampled_scores(model_, x, Stream{product.sampled.seed, Domain::label, sample}, first_row, scores);
      add_score_products<S>(tdx.logits, scores, tx.logits, 1, double(weight()) / double(product.sampled.samples));
    }
  }
  model_.backward_from_logits(theta_.data(), x, tdx, part);
}

template <class Model>
template <class Body>
void Linearization<Model>::for_chunks(Index columns, Moving moving, double* total, Body&& body) {
  std::fill_n(total, columns * size(), 0.0);
  const Index at_once = chunks_at_once(columns * size() * std::int64_t(sizeof(S)), options_.chunks.threads);
  for (Index first = 0; first < plan_.count(); first += at_once) {
    const Index count = std::min(at_once, plan_.count() - first);
    while (Index(partials_.size()) < count * columns) partials_.emplace_back(size_t(size()));
    parallel_for(count, options_.chunks.threads, [&](Index i, int worker) {
      for (Index j = 0; j < columns; ++j) {
        AlignedVector<S>& part = partials_[size_t(i * columns + j)];
        for (const Piece& piece : pieces(moving)) std::fill_n(part.data() + piece.first, piece.count, S(0));
      }
      body(first + i, workers_[size_t(worker)], i * columns);
    });
    add_partials(columns, count, moving, total);
  }
}

/// In parallel over pieces of the vectors; each entry still adds its chunks in order.
template <class Model>
void Linearization<Model>::add_partials(Index columns, Index chunks, Moving moving, double* total) {
  const std::vector<Piece>& all = pieces(moving);
  const Index count = Index(all.size());
  parallel_for(count * columns, options_.chunks.threads, [&](Index item, int) {
    const Index j = item / count;
    const auto [first, length] = all[size_t(item % count)];
    double* sum = total + j * size() + first;
    for (Index i = 0; i < chunks; ++i) accumulate<S>(sum, partials_[size_t(i * columns + j)].data() + first, length);
  });
}

extern template class Linearization<Mlp<float>>;
extern template class Linearization<Mlp<double>>;
extern template class Linearization<Transformer<float>>;
extern template class Linearization<Transformer<double>>;

}  // namespace hone
