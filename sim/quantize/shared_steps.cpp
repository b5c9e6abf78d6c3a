#include "sim/quantize/shared_steps.hpp"

#include <iterator>

namespace hone {
namespace {

constexpr int full_bits = 16;

/// The visitor of the blocks: rounds the inputs of linears on fixed steps. Keys and values stay.
template <class S>
struct FixedSteps {
  const std::vector<SharedScales>& steps;  ///< none: nothing is rounded
  size_t layer;

  void input(LinearInput site, const Block<S>& x) const {
    if (!steps.empty() && x.view().allFinite())
      quantize_shared_inputs<S>(x, steps[layer * std::size(linear_inputs) + size_t(site)]);
  }
  void key(const Block<S>&) const {}
  void value(const Block<S>&) const {}
};

/// x.logits and x.row_loss of one chunk.
template <class S>
void forward(const Transformer<S>& model, const S* theta, const TokenBatch& data, Index first, TransformerActs<S>& x,
             const std::vector<SharedScales>& steps) {
  const TransformerOptions& o = model.options();
  const auto place = [&](std::string_view name) {
    const ParamBlock* block = model.layout().find(name);
    return block ? ParamPlace{block->offset, block->rows, block->cols} : ParamPlace{};
  };
  const ParamVectors<S> p{.theta = theta};
  const CausalAttention<S> core = model.attention_core(x.sequences);
  model.embed(theta, data, first, x);
  for (size_t l = 0; l < model.layers().size(); ++l)
    model.layers()[l].forward(p, x.layers[l], core, FixedSteps<S>{steps, l});
  const NormBlock<S> norm{{o.norm, o.norm_eps}, place("final_norm.weight"), place("final_norm.bias")};
  const LinearBlock<S> head{place(o.head == Head::tied ? "tok_emb.weight" : "head.weight"), place("head.bias")};
  norm.forward(p, x.norm, x.stat, x.last_stream());
  head.forward(p, x.logits, x.norm);
  softmax_xent_forward<S>(x.probs, x.row_loss.data, x.logits, x.targets.data());
}

void check_bits(const char* what, int bits) {
  if (bits < 2 || bits > full_bits)
    throw OptionError(fmt::format("shared steps: {} bits = {}; use 2 to 15, or 16 for no quantization", what, bits));
}

}  // namespace

template <class S>
SharedSteps<S>::SharedSteps(const Transformer<S>& model, const S* theta, const TokenBatch& calibration, Index group,
                            const ChunkOptions& chunks)
    : model_(model), theta_(theta), group_(group), chunks_(chunks) {
  if (model.options().experts > 0)
    throw OptionError(fmt::format(
        "shared steps: experts = {}, whose inputs are routed one by one; use a model without experts (experts = 0)",
        model.options().experts));
  if (group < 1) throw OptionError(fmt::format("shared steps: group = {}; use at least 1 input channel", group));
  model.check(calibration);
  for (const InputStatistics& s : input_statistics<S>(model, theta, calibration, {}, chunks)) {
    const auto channels = Index(s.max_abs.size());
    inputs_.emplace_back(Eigen::Map<const Matrix<double>>(s.max_abs.data(), 1, channels));
    Matrix<double> largest = Matrix<double>::Zero(1, channels);
    for (const std::string& name : s.blocks) {
      const auto w = view(theta, model.layout().at(name));
      largest = largest.cwiseMax(w.cwiseAbs().colwise().maxCoeff().template cast<double>());
    }
    weights_.push_back(std::move(largest));
  }
}

template <class S>
typename SharedSteps<S>::Steps SharedSteps<S>::steps(int bits, Balance balance) const {
  Steps all;
  for (size_t i = 0; i < inputs_.size(); ++i)
    all.push_back(shared_scales<double>(inputs_[i], weights_[i], bits, group_, balance));
  return all;
}

template <class S>
AlignedVector<S> SharedSteps<S>::weights(int bits, Balance balance) const {
  check_bits("weight", bits);
  AlignedVector<S> rounded(theta_, theta_ + model_.layout().size());
  if (bits == full_bits) return rounded;
  const Steps all = steps(bits, balance);
  for (size_t i = 0; i < all.size(); ++i) {
    const size_t sites = std::size(linear_inputs);
    for (const std::string& name : blocks_reading(model_.options(), int(i / sites), linear_inputs[i % sites]))
      quantize_shared_weights<S>(view(rounded.data(), model_.layout().at(name)), all[i]);
  }
  return rounded;
}

template <class S>
std::vector<double> SharedSteps<S>::example_losses(const TokenBatch& data, SharedBits bits, Balance balance) const {
  check_bits("activation", bits.activation);
  model_.check(data);
  const AlignedVector<S> theta = weights(bits.weight, balance);
  const Steps of_inputs = bits.activation == full_bits ? Steps{} : steps(bits.activation, balance);
  const ChunkPlan plan(model_, data.sequences, chunks_.rows);
  const Index rows = model_.rows_per_example();
  std::vector<double> losses(size_t(data.sequences));
  std::vector<ActsPool<Transformer<S>>> pools(size_t(chunks_.threads));
  parallel_for(plan.count(), chunks_.threads, [&](Index chunk, int worker) {
    auto& x = pools[size_t(worker)].get(model_, plan.size(chunk));
    forward<S>(model_, theta.data(), data, plan.first(chunk), x, of_inputs);
    for (Index e = 0; e < x.sequences; ++e) {
      double sum = 0;
      for (Index r = 0; r < rows; ++r) sum += double(x.row_loss.data[e * rows + r]);
      losses[size_t(plan.first(chunk) + e)] = sum / double(rows);
    }
  });
  return losses;
}

template class SharedSteps<float>;
template class SharedSteps<double>;

}  // namespace hone
