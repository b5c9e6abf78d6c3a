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
Block<S> block_of(Matrix<S>& matrix) {
  return {matrix.data(), matrix.rows(), matrix.cols()};
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

/// The visitor of the blocks: keeps the input that they reach, rounded as the precision says.
template <class S>
struct CalibrationStream<S>::Receiver : QuantizedSites<S> {
  Matrix<S>& reached;

  void input(LinearInput site, const Block<S>& x) const {
    QuantizedSites<S>::input(site, x);
    reached = x.view();
  }
};

/// One step of one chunk: the part of a branch that ends at the next input. What the parts before wrote is read where the
/// chunk keeps it; the rest of the step lies in x.
template <class S>
void CalibrationStream<S>::advance(const S* theta, Chunk& chunk, Acts& x) {
  const LinearInput site = linear_inputs[input_];
  const TransformerLayer<S>& layer = model_.layers()[static_cast<size_t>(layer_)];
  const ParamVectors<S> p{.theta = theta};
  const CausalAttention<S> core = model_.attention_core(x.sequences);
  LayerActs<S> a = x.layers[0];
  const Receiver receive{{precision_, model_.options(), layer_, a}, chunk.input};
  if (input_ > 0 || layer_ > 0)
    a.input(linear_inputs[(input_ + std::size(linear_inputs) - 1) % std::size(linear_inputs)]) = block_of(chunk.input);
  if (chunk.gates.size() > 0) a.expert_gates = block_of(chunk.gates), a.routing = chunk.routing;
  switch (site) {
    case LinearInput::attention:
      if (layer_ > 0) {
        a.mid = block_of(chunk.stream);
        model_.layers()[static_cast<size_t>(layer_ - 1)].with_mlp([&](const auto& mlp) { mlp.forward_out(p, a); });
        chunk.stream = a.out.view();
      }
      a.in = block_of(chunk.stream);
      return layer.attention.forward_in(p, a, receive);
    case LinearInput::attention_output: return layer.attention.forward_to_output(p, a, core, receive);
    case LinearInput::mlp:
      a.in = block_of(chunk.stream);
      layer.attention.forward_out(p, a);
      layer.with_mlp([&](const auto& mlp) { mlp.forward_in(p, a, receive); });
      chunk.stream = a.mid.view();
      if (model_.options().experts > 0) chunk.gates = a.expert_gates.view(), chunk.routing = a.routing;
      return;
    case LinearInput::mlp_output:
      return layer.with_mlp([&](const auto& mlp) { mlp.forward_to_output(p, a, core.turns, receive); });
  }
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
    return expert < 0 ? block_of(chunk.input) : expert_rows(block_of(chunk.input), chunk.routing, expert);
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
    advance(theta, chunks_[static_cast<size_t>(c)], acts_[static_cast<size_t>(worker)].get(model_, plan_.size(c)));
  });
  const bool is_routed = linear_inputs[input_] == LinearInput::mlp || linear_inputs[input_] == LinearInput::mlp_output;
  const int experts = is_routed ? static_cast<int>(model_.options().experts) : 0;
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
