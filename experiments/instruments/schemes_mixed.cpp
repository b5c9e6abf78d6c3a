#include "experiments/instruments/schemes_mixed.hpp"

#include <cmath>

#include "experiments/study/build.hpp"
#include "sim/base/error.hpp"
#include "sim/quantize/allocation.hpp"
#include "sim/quantize/calibration.hpp"
#include "sim/quantize/guided.hpp"

namespace hone::experiments {
namespace {

/// Rows of one block that share a width.
struct Item {
  int block = 0;  ///< number in the layout
  Index first = 0, count = 0;
};

/// The curvature that an item's rounding error is charged with: a number, or a matrix over its inputs.
struct Charge {
  double scale = 0;
  Matrix<double> gram;        ///< empty: the identity
  double standard_error = 0;  ///< of the scale; 0 where it is not known

  /// Per weight, of an error that is alike in all directions.
  MeanEstimate sensitivity() const {
    return {gram.size() ? scale * gram.trace() / double(gram.rows()) : scale, standard_error};
  }
  double of(const Matrix<double>& error) const {
    return scale * (gram.size() ? gram_error(error, gram) : error.squaredNorm());
  }
};

class Mixture {
 public:
  Mixture(AllocationScore score, const TransformerOptions& options, const AlignedVector<float>& reference,
          const SchemeInput& input, const BlockTraces& traces)
      : input_(input), reference_(reference), model_(options) {
    switch (score) {
      case AllocationScore::trace: charge_by_trace(traces()); break;
      case AllocationScore::output: charge_by_output(); break;
      default: charge_by_fisher(score == AllocationScore::fisher_rows);
    }
    make_charges_sound();
    for (int width : mixed_widths)
      rounded_.push_back(quantize_weights(reference.data(), model_.layout(), weight_quantizer(input.spec, width)));
  }

  std::vector<AllocationItem> items() const {
    std::vector<AllocationItem> list;
    for (size_t i = 0; i < items_.size(); ++i) {
      const ParamBlock& block = model_.layout()[items_[i].block];
      AllocationItem item{fmt::format("{}[{}]", block.name, items_[i].first), {}};
      for (size_t w = 0; w < rounded_.size(); ++w) {
        const double per_weight =
            bits_per_weight(weight_quantizer(input_.spec, mixed_widths[w]), block.rows, block.cols);
        item.choices.push_back({mixed_widths[w],
                                std::int64_t(std::ceil(per_weight * double(items_[i].count * block.cols))) + index_bits,
                                charges_[i].of(error(items_[i], w))});
      }
      list.push_back(std::move(item));
    }
    return list;
  }

  /// What the share-linear baseline calls the score of an item: its charge at the narrowest width.
  std::vector<double> scores(const std::vector<AllocationItem>& items) const {
    std::vector<double> list;
    for (const AllocationItem& item : items) list.push_back(item.choices.front().cost);
    return list;
  }

  AlignedVector<float> theta_of(const Allocation& allocation) const {
    AlignedVector<float> theta = reference_;
    for (size_t i = 0; i < items_.size(); ++i) {
      const ParamBlock& block = model_.layout()[items_[i].block];
      const size_t w = size_t(std::find(std::begin(mixed_widths), std::end(mixed_widths), allocation.widths[i]) -
                              std::begin(mixed_widths));
      const Index begin = block.offset + items_[i].first * block.cols;
      std::copy_n(rounded_[w].theta.begin() + begin, items_[i].count * block.cols, theta.begin() + begin);
    }
    return theta;
  }

  const ParamLayout& layout() const { return model_.layout(); }

 private:
  static constexpr std::int64_t index_bits = 3;  ///< which of the six widths an item has

  void add(int block, Index first, Index count, Charge charge) {
    items_.push_back({block, first, count});
    charges_.push_back(std::move(charge));
  }

  template <class Visit>
  void for_blocks(Visit&& visit) const {
    for (int b = 0; b < int(model_.layout().blocks().size()); ++b)
      if (model_.layout()[b].is_quantizable()) visit(b, model_.layout()[b]);
  }

  void charge_by_trace(const std::vector<MeanEstimate>& traces) {
    size_t next = 0;
    for_blocks([&](int b, const ParamBlock& block) {
      const MeanEstimate& trace = traces[next++];
      const double weights = 2 * double(block.size());
      add(b, 0, block.rows, {trace.mean / weights, {}, trace.standard_error / weights});
    });
  }

  /// A trace below zero is noise, and an expert that no calibration token reached has a Gram matrix of zeros: neither
  /// says that rounding costs nothing.
  void make_charges_sound() {
    std::vector<MeanEstimate> measured;
    for (const Charge& charge : charges_) measured.push_back(charge.sensitivity());
    const std::vector<double> sound = sound_sensitivities(measured);
    for (size_t i = 0; i < charges_.size(); ++i)
      if (sound[i] != measured[i].mean) charges_[i] = {sound[i], {}, 0};
  }

  void charge_by_output() {
    const auto statistics = input_statistics<float>(model_, reference_.data(), input_.calibration, {}, input_.chunks);
    const double tokens = double(input_.calibration.sequences * input_.calibration.positions);
    for_blocks([&](int b, const ParamBlock& block) {
      for (const InputStatistics& s : statistics)
        if (std::find(s.blocks.begin(), s.blocks.end(), block.name) != s.blocks.end())
          add(b, 0, block.rows, {0.5 * double(s.tokens) / tokens, s.gram, 0});  // an expert sees a share of them
    });
  }

  void charge_by_fisher(bool by_rows) {
    GuidedOptions options;
    options.chunks = input_.chunks;
    options.groups = by_rows ? 4 : 1;
    const auto statistics = guided_statistics<float>(model_, reference_.data(), input_.calibration, options);
    for_blocks([&](int b, const ParamBlock& block) {
      for (const GuidedStatistics& s : statistics) {
        if (s.block != block.name) continue;
        const auto groups = Index(s.grams.size());
        for (Index k = 0; k < groups; ++k) {
          const Index first = row_group(block.rows, groups, k);
          add(b, first, row_group(block.rows, groups, k + 1) - first, {0.5, s.grams[size_t(k)], 0});
        }
      }
    });
  }

  Matrix<double> error(const Item& item, size_t width) const {
    const ParamBlock& block = model_.layout()[item.block];
    const auto rows = [&](const AlignedVector<float>& theta) {
      return view(theta.data(), block).middleRows(item.first, item.count).cast<double>();
    };
    return rows(rounded_[width].theta) - rows(reference_);
  }

  const SchemeInput& input_;
  const AlignedVector<float>& reference_;
  Transformer<float> model_;
  std::vector<Item> items_;
  std::vector<Charge> charges_;
  std::vector<QuantizedWeights<float>> rounded_;  ///< at each of mixed_widths
};

/// Errors of the blocks of a model whose rows have several widths.
std::vector<BlockReport> reports(const QuantizedModel& m, const ParamLayout& layout) {
  std::vector<BlockReport> list;
  for (const ParamBlock& block : layout.blocks()) {
    if (!block.is_quantizable()) continue;
    const Matrix<double> w = view(m.reference.data(), block).cast<double>();
    const double error2 = (view(m.theta.data(), block).cast<double>() - w).squaredNorm();
    BlockReport report{.name = block.name, .count = block.size()};
    report.mse = error2 / double(block.size());
    report.sqnr_db = error2 > 0 ? 10 * std::log10(w.squaredNorm() / error2) : INFINITY;
    report.mean_step2 = report.bits_per_weight = std::nan("");
    list.push_back(std::move(report));
  }
  return list;
}

}  // namespace

QuantizedModel quantize_mixed(AllocationScore score, int bits, const TransformerOptions& options,
                              const AlignedVector<float>& reference, const SchemeInput& input,
                              const BlockTraces& block_traces) {
  const Mixture mixture(score, options, reference, input, block_traces);
  const std::vector<AllocationItem> items = mixture.items();
  // The budget is what round to nearest takes at this width, so that the two stand in one row of a table.
  const Quantizer uniform = weight_quantizer(input.spec, bits);
  double budget = 0;
  for (const ParamBlock& block : mixture.layout().blocks())
    if (block.is_quantizable()) budget += bits_per_weight(uniform, block.rows, block.cols) * double(block.size());
  budget += 3.0 * double(items.size());
  const Allocation allocation = score == AllocationScore::share
                                    ? allocate_by_share(items, mixture.scores(items), std::int64_t(budget))
                                    : allocate_exactly(items, std::int64_t(budget));
  QuantizedModel m;
  m.options = options;
  m.reference = reference;
  m.theta = mixture.theta_of(allocation);
  m.blocks = reports(m, mixture.layout());
  m.bits_per_weight = double(allocation.bits) / double(mixture.layout().quantizable_size());
  m.predicted_nats = allocation.cost;
  return m;
}

}  // namespace hone::experiments
