#include "sim/quantize/folding.hpp"

namespace hone {
namespace {

bool has_block(const ParamLayout& layout, const std::string& name) {
  for (const ParamBlock& block : layout.blocks())
    if (block.name == name) return true;
  return false;
}

TransformerOptions folded_options(TransformerOptions options) {
  options.head = Head::untied;
  if (options.norm == Norm::rms) return options;
  options.norm = Norm::rms;
  options.bias = options.head_bias = true;
  options.attention_bias.reset();
  return options;
}

/// theta in the folded layout: blocks that both have are copied; new biases are 0, and a new head is the embedding.
AlignedVector<double> carried_over(const ParamLayout& from, const double* theta, const ParamLayout& to) {
  AlignedVector<double> result(static_cast<size_t>(to.size()), 0.0);
  for (const ParamBlock& block : to.blocks()) {
    const bool is_new_head = block.name == "head.weight" && !has_block(from, block.name);
    const std::string source = is_new_head ? "tok_emb.weight" : block.name;
    if (has_block(from, source)) view(result.data(), block) = view(theta, from.at(source));
  }
  return result;
}

/// Moves gain and bias of one norm of the old model into its readers in the new one.
void fold_site(const NormSite& site, const ParamLayout& old, const double* theta, Parametrization& folded) {
  const ParamLayout layout = folded.options.layout();
  double* out = folded.theta.data();
  const ConstMatView<double> gain = view(theta, old.at(site.norm + ".weight"));
  const bool has_bias = has_block(old, site.norm + ".bias");
  for (const LinearNames& reader : site.readers) {
    MatView<double> w = view(out, layout.at(reader.weight));
    if (has_bias) {
      const ConstMatView<double> beta = view(theta, old.at(site.norm + ".bias"));
      if (has_block(layout, reader.bias))
        view(out, layout.at(reader.bias)).noalias() += beta * w.transpose();
      else if (!beta.isZero(0))
        throw OptionError(
            fmt::format("{} has no bias that could take {}.bias; set that bias to 0, or take a model whose "
                        "mlp is not swiglu",
                        reader.weight, site.norm));
    }
    w.array().rowwise() *= gain.row(0).array();
  }
  view(out, layout.at(site.norm + ".weight")).setOnes();
}

void subtract_row_means(MatView<double> rows) {
  const Vector<double> means = rows.rowwise().mean();
  rows.colwise() -= means;
}

/// Everything that is added to the residual stream loses its mean over channels.
void center_stream(Parametrization& model) {
  const ParamLayout layout = model.options.layout();
  double* theta = model.theta.data();
  for (const char* name : {"tok_emb.weight", "pos_emb.weight"})
    if (has_block(layout, name)) subtract_row_means(view(theta, layout.at(name)));
  for (const LinearNames& writer : stream_writers(model.options)) {
    MatView<double> w = view(theta, layout.at(writer.weight));
    const Eigen::RowVectorXd means = w.colwise().mean();
    w.rowwise() -= means;
    if (has_block(layout, writer.bias)) subtract_row_means(view(theta, layout.at(writer.bias)));
  }
}

}  // namespace

std::vector<NormSite> norm_sites(const TransformerOptions& options) {
  std::vector<NormSite> sites;
  for (Index l = 0; l < options.layers; ++l) {
    const std::string prefix = fmt::format("layers.{}.", l);
    const auto linear = [&](const char* weight, const char* bias) {
      return LinearNames{prefix + weight, prefix + bias};
    };
    sites.push_back({prefix + "attn_norm", {linear("wq", "bq"), linear("wk", "bk"), linear("wv", "bv")}});
    if (options.experts > 0) {
      sites.push_back({prefix + "mlp_norm", {linear("router", "router_bias")}});
      for (Index e = 0; e < options.experts; ++e) {
        const std::string expert = fmt::format("{}experts.{}.", prefix, e);
        sites.back().readers.push_back({expert + "w_up", expert + "b_up"});
        sites.back().readers.push_back({expert + "w_gate", expert + "b_gate"});
      }
      continue;
    }
    sites.push_back({prefix + "mlp_norm", {linear("w_up", "b_up")}});
    if (options.mlp == MlpKind::swiglu) sites.back().readers.push_back(linear("w_gate", "b_gate"));
  }
  const bool is_tied = options.head == Head::tied;
  sites.push_back({"final_norm", {{is_tied ? "tok_emb.weight" : "head.weight", "head.bias"}}});
  return sites;
}

std::vector<LinearNames> stream_writers(const TransformerOptions& options) {
  std::vector<LinearNames> writers;
  for (Index l = 0; l < options.layers; ++l) {
    writers.push_back({fmt::format("layers.{}.wo", l), fmt::format("layers.{}.bo", l)});
    const std::string prefix = fmt::format("layers.{}.", l);
    if (options.experts == 0) writers.push_back({prefix + "w_down", prefix + "b_down"});
    for (Index e = 0; e < options.experts; ++e)
      writers.push_back({fmt::format("{}experts.{}.w_down", prefix, e), fmt::format("{}experts.{}.b_down", prefix, e)});
  }
  return writers;
}

Parametrization fold_norms(const TransformerOptions& options, const double* theta) {
  options.validate();
  const ParamLayout old = options.layout();
  Parametrization folded{folded_options(options), {}};
  folded.theta = carried_over(old, theta, folded.options.layout());
  for (const NormSite& site : norm_sites(folded.options)) fold_site(site, old, theta, folded);
  if (options.norm == Norm::layer) center_stream(folded);
  return folded;
}

}  // namespace hone
