#include "sim/quantize/calibration.hpp"

#include <algorithm>
#include <cmath>

namespace hone {
namespace {

constexpr Index tile = 32;

/// Chunk c belongs to lane c mod lanes; a lane adds its chunks in order, and the lanes are added in order at the end.
/// A fixed number, so that the sums are the same on any number of threads.
constexpr Index lanes = 16;

std::string_view name_of(LinearInput input) {
  switch (input) {
    case LinearInput::attention: return "attention";
    case LinearInput::attention_output: return "attention_output";
    case LinearInput::mlp: return "mlp";
    case LinearInput::mlp_output: return "mlp_output";
  }
  throw ContractError(fmt::format("calibration: no name for input {}", static_cast<int>(input)));
}

template <class S>
Block<S> input_block(const TransformerActs<S>& x, int layer, LinearInput input) {
  const auto& a = x.layers[static_cast<size_t>(layer)];
  switch (input) {
    case LinearInput::attention: return a.norm1;
    case LinearInput::attention_output: return a.wo_input();
    case LinearInput::mlp: return a.mlp_input();
    case LinearInput::mlp_output: return a.down_input();
  }
  throw ContractError(fmt::format("calibration: no input {}", static_cast<int>(input)));
}

}  // namespace

TokenBatch calibration_windows(const TokenStream& stream, Index positions, Index count, std::uint64_t seed) {
  return TextBatches(stream, count, positions, seed).batch(0);
}

std::vector<std::string> blocks_reading(const TransformerOptions& options, int layer, LinearInput input, int expert) {
  const bool is_routed = options.experts > 0 && (input == LinearInput::mlp || input == LinearInput::mlp_output);
  EXPECTS(is_routed == (expert >= 0), "calibration: input {} of layer {}, expert {}", name_of(input), layer, expert);
  const std::string prefix =
      is_routed ? fmt::format("layers.{}.experts.{}.", layer, expert) : fmt::format("layers.{}.", layer);
  const auto named = [&](const char* name) { return prefix + name; };
  switch (input) {
    case LinearInput::attention: return {named("wq"), named("wk"), named("wv")};
    case LinearInput::attention_output: return {named("wo")};
    case LinearInput::mlp:
      if (options.mlp == MlpKind::swiglu) return {named("w_gate"), named("w_up")};
      return {named("w_up")};
    case LinearInput::mlp_output: return {named("w_down")};
  }
  throw ContractError(fmt::format("calibration: no input {}", static_cast<int>(input)));
}

std::vector<std::vector<double>> norm_maxima(const std::vector<InputStatistics>& inputs) {
  std::vector<std::vector<double>> maxima;
  for (const InputStatistics& site : inputs) {
    if (site.input != LinearInput::attention && site.input != LinearInput::mlp) continue;
    if (site.expert <= 0) {
      maxima.push_back(site.max_abs);
      continue;
    }
    for (size_t c = 0; c < site.max_abs.size(); ++c) maxima.back()[c] = std::max(maxima.back()[c], site.max_abs[c]);
  }
  return maxima;
}

template <class S>
void GramSum<S>::add(ConstMatRef<S> x) {
  const Index channels = sum_.rows();
  EXPECTS(x.cols() == channels, "gram: {} channels, expected {}", x.cols(), channels);
  for (Index first = 0; first < channels; first += tile) {
    const Index height = std::min(tile, channels - first), width = channels - first;
    auto part = part_.block(first, first, height, width);
    gemm_tn<S>(part, x.middleCols(first, height), x.middleCols(first, width));
    sum_.block(first, first, height, width) += part.template cast<double>();
  }
}

template <class S>
Matrix<double> GramSum<S>::scaled(double factor) const {
  Matrix<double> whole = factor * sum_;
  whole.template triangularView<Eigen::StrictlyLower>() = whole.transpose();
  return whole;
}

template <class S>
struct CalibrationStream<S>::Lane {
  explicit Lane(Index channels)
      : gram(channels), sum_abs(Vector<double>::Zero(channels)), max_abs(Vector<double>::Zero(channels)) {}
  void add(Block<S> x) {
    if (x.rows == 0) return;
    gram.add(x);
    for (Index m = 0; m < x.rows; ++m) {
      const auto row = x.view().row(m).transpose().cwiseAbs().template cast<double>();
      sum_abs += row;
      max_abs = max_abs.cwiseMax(row);
    }
  }

  GramSum<S> gram;
  Vector<double> sum_abs, max_abs;
};

template <class S>
CalibrationStream<S>::CalibrationStream(const Transformer<S>& model, const S* theta, const TokenBatch& data,
                                        const Precision& precision, const ChunkOptions& options)
    : model_(model),
      data_(data),
      precision_(precision),
      options_(options),
      plan_(model, data.sequences, options.rows),
      chunks_(static_cast<size_t>(plan_.count())),
      acts_(static_cast<size_t>(options.threads)) {
  model.check(data);
  parallel_for(plan_.count(), options.threads, [&](Index c, int worker) {
    Acts& x = acts_[static_cast<size_t>(worker)].get(model_, plan_.size(c));
    model_.embed(theta, data_, plan_.first(c), x);
    chunks_[static_cast<size_t>(c)].stream = x.layers[0].in.view();
  });
}

/// Puts back what the next part reads.
template <class S>
void CalibrationStream<S>::load(Index c, Acts& x) const {
  const Chunk& chunk = chunks_[static_cast<size_t>(c)];
  const bool enters_layer = input_ == 0 && layer_ > 0;
  auto& a = x.layers[static_cast<size_t>(enters_layer ? layer_ - 1 : layer_)];
  switch (linear_inputs[input_]) {
    case LinearInput::attention:
      (enters_layer ? a.mid : a.in).view() = chunk.stream;
      if (!enters_layer) return;
      a.down_input().view() = chunk.input;
      if (chunk.gates.size() == 0) return;
      a.routing = chunk.routing;
      a.expert_gates.view() = chunk.gates;
      return;
    case LinearInput::attention_output: a.norm1.view() = chunk.input; return;
    case LinearInput::mlp:
      a.in.view() = chunk.stream;
      a.wo_input().view() = chunk.input;
      return;
    case LinearInput::mlp_output:
      a.mlp_input().view() = chunk.input;
      a.routing = chunk.routing;
      return;
  }
}

template <class S>
void CalibrationStream<S>::advance(const S* theta, Index c, Acts& x) {
  const LinearInput input = linear_inputs[input_];
  Chunk& chunk = chunks_[static_cast<size_t>(c)];
  load(c, x);
  if (input == LinearInput::attention && layer_ > 0) model_.forward_out(theta, layer_ - 1, x);
  model_.forward_to(input, theta, layer_, x, precision_);
  const auto& a = x.layers[static_cast<size_t>(layer_)];
  if (input == LinearInput::attention) chunk.stream = a.in.view();
  if (input == LinearInput::mlp) chunk.stream = a.mid.view();
  if (input == LinearInput::mlp && model_.options().experts > 0)
    chunk.routing = a.routing, chunk.gates = a.expert_gates.view();
  chunk.input = input_block(x, layer_, input).view();
}

/// The input that all chunks have reached, or the rows of it that belong to an expert.
template <class S>
InputStatistics CalibrationStream<S>::describe(int expert) {
  InputStatistics out;
  out.layer = layer_;
  out.input = linear_inputs[input_];
  out.expert = expert;
  out.name = expert < 0 ? fmt::format("layers.{}.{}", layer_, name_of(out.input))
                        : fmt::format("layers.{}.experts.{}.{}", layer_, expert, name_of(out.input));
  out.blocks = blocks_reading(model_.options(), layer_, out.input, expert);
  const auto rows_of = [&](Index c) {
    Chunk& chunk = chunks_[static_cast<size_t>(c)];
    const Block<S> all{chunk.input.data(), chunk.input.rows(), chunk.input.cols()};
    return expert < 0 ? all : expert_rows(all, chunk.routing, expert);
  };
  for (Index c = 0; c < plan_.count(); ++c) out.tokens += rows_of(c).rows;
  const Index channels = model_.layout().at(out.blocks[0]).cols, used = std::min(lanes, plan_.count());
  std::vector<Lane> sums(static_cast<size_t>(used), Lane(channels));
  parallel_for(used, options_.threads, [&](Index lane, int) {
    for (Index c = lane; c < plan_.count(); c += used) sums[static_cast<size_t>(lane)].add(rows_of(c));
  });
  for (Index lane = 1; lane < used; ++lane) {
    sums[0].gram.add(sums[static_cast<size_t>(lane)].gram);
    sums[0].sum_abs += sums[static_cast<size_t>(lane)].sum_abs;
    sums[0].max_abs = sums[0].max_abs.cwiseMax(sums[static_cast<size_t>(lane)].max_abs);
  }
  const double count = static_cast<double>(std::max<Index>(out.tokens, 1));
  out.gram = sums[0].gram.scaled(2 / count);
  for (Index i = 0; i < channels; ++i) {
    out.mean_abs.push_back(sums[0].sum_abs[i] / count);
    out.max_abs.push_back(sums[0].max_abs[i]);
  }
  return out;
}

template <class S>
std::vector<InputStatistics> CalibrationStream<S>::next(const S* theta) {
  EXPECTS(!at_end(), "calibration: no input after layer {}", layer_ - 1);
  parallel_for(plan_.count(), options_.threads, [&](Index c, int worker) {
    advance(theta, c, acts_[static_cast<size_t>(worker)].get(model_, plan_.size(c)));
  });
  const int experts = input_ < 2 ? 0 : static_cast<int>(model_.options().experts);
  std::vector<InputStatistics> out;
  for (int e = experts > 0 ? 0 : -1; e < experts; ++e) out.push_back(describe(e));
  if (++input_ == int(std::size(linear_inputs))) input_ = 0, ++layer_;
  return out;
}

template <class S>
std::vector<InputStatistics> input_statistics(const Transformer<S>& model, const S* theta, const TokenBatch& data,
                                              const Precision& precision, const ChunkOptions& options) {
  CalibrationStream<S> stream(model, theta, data, precision, options);
  std::vector<InputStatistics> all;
  while (!stream.at_end())
    for (InputStatistics& site : stream.next(theta)) all.push_back(std::move(site));
  return all;
}

template class GramSum<float>;
template class GramSum<double>;
template class CalibrationStream<float>;
template class CalibrationStream<double>;
template std::vector<InputStatistics> input_statistics(const Transformer<float>&, const float*, const TokenBatch&,
                                                       const Precision&, const ChunkOptions&);
template std::vector<InputStatistics> input_statistics(const Transformer<double>&, const double*, const TokenBatch&,
                                                       const Precision&, const ChunkOptions&);

}  // namespace hone
