// Calibration: statistics of the inputs of a model's linears on a sample of the training text. The methods of this folder
// need only their Gram matrices.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/model/objective.hpp"
#include "sim/model/transformer.hpp"

namespace hone {

/// Random windows of the training text without overlap: never the text that a loss is measured on.
/// errors  OptionError when the training text is too short
TokenBatch calibration_windows(const TokenStream& stream, Index positions, Index count, std::uint64_t seed);

/// One input of linears over a set of tokens; several weights may read it.
struct InputStatistics {
  std::string name;  ///< for example "layers.0.attention_output"
  int layer = 0;
  LinearInput input = LinearInput::attention;
  int expert = -1;                        ///< that the tokens were routed to; -1: all tokens
  std::vector<std::string> blocks;        ///< names of the weights that read it
  Matrix<double> gram;                    ///< H = (2/n) XᵀX, n = tokens; 0 without tokens
  std::vector<double> mean_abs, max_abs;  ///< of each channel
  Index tokens = 0;
};

/// Names of the quantizable blocks that read one input of a layer.
/// expects  an expert for mlp and mlp_output of a model with experts, else -1
std::vector<std::string> blocks_reading(const TransformerOptions& options, int layer, LinearInput input,
                                        int expert = -1);

/// The largest |x| of each channel after the norms, attention and mlp of each layer in order; what SmoothQuant reads.
/// math  with experts the largest over all of them: every token is routed to one
std::vector<std::vector<double>> norm_maxima(const std::vector<InputStatistics>& inputs);

/// Sum of XᵀX over chunks: products in S, sums in double. Only tiles on and above the diagonal are computed.
template <class S>
class GramSum {
 public:
  explicit GramSum(Index channels) : sum_(Matrix<double>::Zero(channels, channels)), part_(channels, channels) {}
  /// shapes  x (rows, channels)
  void add(ConstMatRef<S> x);
  void add(const GramSum& other) { sum_ += other.sum_; }
  /// The whole symmetric matrix times `factor`.
  Matrix<double> scaled(double factor) const;

 private:
  Matrix<double> sum_;
  Matrix<S> part_;
};

/// All tokens of a calibration set on their way through the model, from one input of linears to the next. The weights
/// may change between two steps, but only those whose outputs no step has passed: this is how one forward pass serves
/// a quantization that goes layer by layer on the outputs of the layers quantized before.
/// cost  one forward pass without the head over all steps, and channels² flops per token and step;
///       memory for tokens·(width + the widest input) scalars
template <class S>
class CalibrationStream {
 public:
  /// expects  `model` and `data` outlive this object; theta holds the embeddings
  /// errors   OptionError as Transformer::check
  CalibrationStream(const Transformer<S>& model, const S* theta, const TokenBatch& data, const Precision& precision,
                    const ChunkOptions& options);

  bool at_end() const { return layer_ == int(model_.options().layers); }
  /// Moves to the next input, quantized as `precision` says, and describes it: with experts, the tokens routed to each.
  /// expects  not at_end()
  /// ensures  bits depend on the chunk size, never on the threads
  std::vector<InputStatistics> next(const S* theta);

 private:
  using Acts = TransformerActs<S>;
  struct Chunk {
    Matrix<S> stream;  ///< the residual stream that the layer's parts to come still read
    Matrix<S> input;   ///< the input that the last step reached
    Matrix<S> gates;   ///< with experts, from the input mlp on; as the routing
    Routing routing;
  };
  struct Lane;
  struct Receiver;
  void advance(const S* theta, Chunk& chunk, Acts& x);
  InputStatistics describe(int expert);

  const Transformer<S>& model_;
  const TokenBatch& data_;
  Precision precision_;
  ChunkOptions options_;
  ChunkPlan plan_;
  std::vector<Chunk> chunks_;
  std::vector<ActsPool<Transformer<S>>> acts_;
  int layer_ = 0, input_ = 0;
};

/// All inputs of all layers in the order of the forward pass, of one model at one theta.
template <class S>
std::vector<InputStatistics> input_statistics(const Transformer<S>& model, const S* theta, const TokenBatch& data,
                                              const Precision& precision, const ChunkOptions& options);

extern template class GramSum<float>;
extern template class GramSum<double>;
extern template class CalibrationStream<float>;
extern template class CalibrationStream<double>;
extern template std::vector<InputStatistics> input_statistics(const Transformer<float>&, const float*,
                                                              const TokenBatch&, const Precision&, const ChunkOptions&);
extern template std::vector<InputStatistics> input_statistics(const Transformer<double>&, const double*,
                                                              const TokenBatch&, const Precision&, const ChunkOptions&);

}  // namespace hone
