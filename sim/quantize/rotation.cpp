#include "sim/quantize/rotation.hpp"

#include <optional>

#include "sim/base/gemm.hpp"

namespace hone {
namespace {

/// The model being rotated, with the views of its blocks.
struct Rotating {
  Parametrization& model;
  ParamLayout layout = model.options.layout();

  std::optional<MatView<double>> find(const std::string& name) {
    for (const ParamBlock& block : layout.blocks())
      if (block.name == name) return view(model.theta.data(), block);
    return std::nullopt;
  }
  MatView<double> at(const std::string& name) { return view(model.theta.data(), layout.at(name)); }
  MatView<double> at(Index layer, const char* name) { return at(fmt::format("layers.{}.{}", layer, name)); }
};

/// m <- m q.
void multiply_right(MatView<double> m, const Matrix<double>& q) {
  const Matrix<double> copy = m;
  gemm_nn<double>(m, copy, q);
}

/// m <- q' m.
void multiply_left_transposed(MatView<double> m, const Matrix<double>& q) {
  const Matrix<double> copy = m;
  gemm_tn<double>(m, q, copy);
}

void rotate_residual(Rotating& r, const RotationOptions& rotation) {
  const Stream stream{rotation.seed, Domain::rotation, 0};
  const Index width = r.model.options.width;
  const Matrix<double> q = rotation.kind == RotationKind::orthogonal ? random_orthogonal(width, stream)
                                                                     : random_sign_hadamard(width, stream);
  multiply_right(r.at("tok_emb.weight"), q);
  if (auto positions = r.find("pos_emb.weight")) multiply_right(*positions, q);
  for (const NormSite& site : norm_sites(r.model.options))
    for (const LinearNames& reader : site.readers) multiply_right(r.at(reader.weight), q);
  for (const LinearNames& writer : stream_writers(r.model.options)) {
    multiply_left_transposed(r.at(writer.weight), q);
    if (auto bias = r.find(writer.bias)) multiply_right(*bias, q);  // a row: (Q'b)' = b'Q
  }
}

/// Rows of wv, H on the channels of every key/value head; columns of wo, the same H on every query head.
void rotate_within_heads(Rotating& r) {
  const TransformerOptions& o = r.model.options;
  const HadamardTable<double> table(o.head_width());
  for (Index l = 0; l < o.layers; ++l) {
    hadamard_rotate<double>(r.at(l, "wv"), table, o.width, Turn::forward);
    if (auto bias = r.find(fmt::format("layers.{}.bv", l))) hadamard_rotate<double>(*bias, table, 1, Turn::forward);
    hadamard_rotate<double>(r.at(l, "wo"), table, 1, Turn::forward);
  }
}

void rotate_across_heads(Rotating& r) {
  const TransformerOptions& o = r.model.options;
  const HadamardTable<double> table(o.heads);
  for (Index l = 0; l < o.layers; ++l) hadamard_rotate<double>(r.at(l, "wo"), table, o.head_width(), Turn::forward);
}

void rotate_mlp(Rotating& r) {
  const TransformerOptions& o = r.model.options;
  const HadamardTable<double> table(o.mlp_width);
  for (const LinearNames& writer : stream_writers(o))
    if (writer.weight.ends_with("w_down")) hadamard_rotate<double>(r.at(writer.weight), table, 1, Turn::forward);
}

/// Turns an online rotation on; the weights in hand are made for none.
void switch_on(bool& online, bool wanted, const char* site) {
  if (online && wanted)
    throw OptionError(fmt::format("rotate: the model already rotates {} online; rotate the plain model instead", site));
  online = online || wanted;
}

}  // namespace

Parametrization rotate(const TransformerOptions& options, const double* theta, const RotationOptions& rotation) {
  Parametrization result = rotation.residual ? fold_norms(options, theta)
                                             : Parametrization{options, {theta, theta + options.layout().size()}};
  if (options.sub_norms && rotation.value_heads)
    throw OptionError("rotate: value_heads = true does not pass the norms before wo of sub_norms; set it to false");
  switch_on(result.options.rotations.heads, rotation.heads, "heads");
  switch_on(result.options.rotations.mlp, rotation.mlp, "mlp");
  switch_on(result.options.rotations.qk, rotation.qk, "qk");
  result.options.validate();
  Rotating r{result};
  if (rotation.residual) rotate_residual(r, rotation);
  if (rotation.value_heads) rotate_within_heads(r);
  if (rotation.heads) rotate_across_heads(r);
  if (rotation.mlp) rotate_mlp(r);
  return result;
}

}  // namespace hone
