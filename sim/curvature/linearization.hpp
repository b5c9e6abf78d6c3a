// One model at one point over one fixed set of tokens: loss, gradient, and products of the Hessian, the Gauss-Newton
// and the Fisher matrices with any number of vectors. The set is streamed in fixed chunks; a shorter last chunk is weighted
// by its tokens. The memory is computed, and can be refused, before anything is allocated.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/curvature/fisher.hpp"
#include "sim/curvature/operators.hpp"
#include "sim/model/objective.hpp"

namespace hone {

struct CurvatureOptions {
  ChunkOptions chunks;
  std::int64_t cache_bytes = std::int64_t(2) << 30;  ///< for activations and adjoints kept between products
  std::int64_t limit_bytes = 0;                      ///< refuse to start when the memory plan is above it; 0 = no limit
  Index panel = 4;        ///< columns of a product of many that share one pass; memory grows with it
  double loss_scale = 1;  ///< factor on the loss, and with it on everything measured (certificate C0e)
};

/// Upper bound of what a Linearization allocates, by purpose, in bytes. With P parameters of s bytes, C chunks,
/// t threads, panel k, and a = bytes of the activations of a whole chunk plus, if there is one, of the ragged last:
struct MemoryPlan {
  std::int64_t vectors = 0;  ///< θ and the tangents, (1+k)·P·s, and the gradient, 8P
  std::int64_t partials =
      0;  ///< sums of single chunks: the largest j·min(C, chunks_at_once(j·P·s, t)) of j ≤ k, times P·s
  std::int64_t arenas = 0;  ///< per thread tx and tdx, and x and dx unless all chunks are cached: t·(2 or 4)·a
  std::int64_t cache = 0;   ///< x and dx of the cached chunks, at most cache_bytes
  Index cached_chunks = 0;
  std::int64_t bytes() const { return vectors + partials + arenas + cache; }
};

/// cost    makes the activations of one whole and one ragged chunk to measure them, and frees them again
template <class Model>
MemoryPlan plan_memory(const Model& model, Index examples, const CurvatureOptions& options);

/// Throws when the plan is above the limit.
/// errors  OptionError with the parts of the plan, the limit, and which options to lower
void check_memory(const MemoryPlan& plan, const CurvatureOptions& options);

/// Values and adjoints of the chunks are computed once and kept within the budget, so that a product costs only the
/// tangent passes; chunks beyond the budget are computed again at each pass, so memory stays flat however large the
/// set. Products run in the model's scalar; chunks are summed in double in their order.
/// expects  model and data outlive this object
/// ensures  equal bits for any thread count, cache budget and panel, and for a column alone or among others
/// errors   OptionError when the memory plan is above the limit
/// cost     per parameter and token: Hessian 12 flops cached (a gradient is 6), 18 otherwise; Gauss-Newton and Fisher
///          8 cached, 10 otherwise; in a panel of k the uncached part (6 and 2) is shared by its columns
/// source   Pearlmutter 1994; Schraudolph 2002; Kunstner, Balles & Hennig 2019 (arXiv:1905.12558) on the two Fishers
template <class Model>
class Linearization {
 public:
  using S = typename Model::Scalar;
  using Data = typename Model::Data;
  using Acts = typename Model::Acts;

  Linearization(const Model& model, const double* theta, const Data& data, CurvatureOptions options);
  Linearization(const Linearization&) = delete;  // the operators below point here
  Linearization& operator=(const Linearization&) = delete;

  Index size() const { return model_.layout().size(); }
  /// Mean nats per token, times loss_scale.
  double loss_nats() const { return loss_; }
  const Vector<double>& gradient() const { return gradient_; }
  Index cached_chunks() const { return Index(cache_.size()); }
  const MemoryPlan& plan() const { return memory_; }
  /// What is allocated at this moment, by the count of `plan`.
  std::int64_t bytes() const;

  /// The operators are views of this object and must not outlive it.
  /// H, the Hessian of the mean loss.
  LinearOperator hessian() { return operator_of({Kind::hessian}); }
  /// The block of H on the quantizable parameters, 0 elsewhere, for vectors that are 0 elsewhere.
  /// ensures  the bits of hessian() there
  /// cost     that of hessian() without the adjoints of embedding and head: 4 flops per parameter of the head and token
  LinearOperator quantizable_hessian() { return operator_of({Kind::hessian, Moving::quantizable}); }
  /// G = mean of J'(∂²l/∂z²)J over tokens.
  LinearOperator ggn() { return operator_of({Kind::ggn}); }
  /// Mean of g g' over tokens or examples, g at the labels of the data, times loss_scale (not its square).
  LinearOperator empirical_fisher(FisherUnit unit = FisherUnit::token) {
    return operator_of({Kind::empirical_fisher, Moving::all, unit});
  }
  /// Mean of g g' over tokens and draws, g at labels drawn from the model; its expectation over seeds is G.
  /// expects  samples ≥ 1
  LinearOperator sampled_fisher(SampledFisherOptions options);

  /// Single products, for callers that need no operator.
  /// shapes  v, result (P)
  void hessian_product(const Vector<double>& v, Vector<double>& result) { hessian().apply(v, result); }

 private:
  enum class Kind { hessian, ggn, empirical_fisher, sampled_fisher };
  struct Product {
    Kind kind;
    Moving moving = Moving::all;
    FisherUnit unit = FisherUnit::token;
    SampledFisherOptions sampled = {};
  };
  struct Primal {
    std::unique_ptr<Acts> x, dx;
  };
  /// A stretch of the flat vectors.
  struct Piece {
    Index first, count;
  };
  struct Worker {
    ActsPool<Model> x, dx, tx, tdx;
  };

  S weight() const { return S(options_.loss_scale / double(plan_.examples * model_.rows_per_example())); }
  bool is_kept(Index chunk) const { return chunk < cached_chunks(); }
  const std::vector<Piece>& pieces(Moving moving) const { return moving == Moving::all ? whole_ : quantizable_; }
  static void add_pieces(std::vector<Piece>& pieces, Index first, Index count);
  LinearOperator operator_of(Product product);
  void evaluate();
  void multiply_panel(const Product& product, Index columns, const double* v, double* result);
  void chunk_products(const Product& product, Index columns, Index chunk, Worker& worker, Index slot);
  void fisher_backward(const Product& product, Index chunk, const Acts& x, const Acts& tx, Acts& tdx, S* part);
  /// body(chunk, worker, slot) for all chunks; it writes the sums of its chunk for column j to part(slot, j), zeroed
  /// before where parameters are `moving`. They are added there to column j of total (size(), columns) in chunk order.
  template <class Body>
  void for_chunks(Index columns, Moving moving, double* total, Body&& body);
  void add_partials(Index columns, Index chunks, Moving moving, double* total);

  const Model& model_;
  const Data& data_;
  CurvatureOptions options_;
  ChunkPlan plan_;
  MemoryPlan memory_;
  AlignedVector<S> theta_;
  Vector<double> gradient_;
  double loss_ = 0;
  std::vector<Primal> cache_;
  std::vector<Worker> workers_;
  std::vector<Piece> whole_, quantizable_;  ///< the parameters, and those of the quantizable blocks, in pieces
  std::vector<AlignedVector<S>> tangents_, partials_;
};

}  // namespace hone

#include "sim/curvature/linearization_passes.hpp"
