#include "sim/curvature/blocks.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <string>
#include <utility>

#include "sim/base/error.hpp"

namespace hone {
namespace {

constexpr Index columns_at_once = 8;

void append(PositionList& positions, const ParamBlock& block) {
  for (Index i = 0; i < block.size(); ++i) positions.push_back(block.offset + i);
}

void check_inside(const LinearOperator& op, const std::vector<PositionList>& blocks) {
  for (const PositionList& block : blocks)
    for (Index p : block) EXPECTS(p >= 0 && p < op.size, "blocks: position {} in an operator of size {}", p, op.size);
}

Vector<double> gathered(const Vector<double>& from, const PositionList& positions) {
  Vector<double> part(Index(positions.size()));
  for (size_t i = 0; i < positions.size(); ++i) part[Index(i)] = from[positions[i]];
  return part;
}

}  // namespace

PositionList matching_positions(const ParamLayout& layout, std::string_view pattern) {
  PositionList positions;
  std::vector<std::string> known;
  for (const ParamBlock& block : layout.blocks()) {
    if (fnmatch(std::string(pattern).c_str(), block.name.c_str(), 0) == 0) append(positions, block);
    known.push_back(block.name);
  }
  if (positions.empty())
    throw OptionError(
        fmt::format("no parameter block fits '{}'; did you mean '{}'?", pattern, nearest_name(pattern, known)));
  return positions;
}

PositionList layer_positions(const ParamLayout& layout, int layer) {
  PositionList positions;
  int last = -1;
  for (const ParamBlock& block : layout.blocks()) {
    if (block.layer == layer) append(positions, block);
    last = std::max(last, block.layer);
  }
  if (positions.empty())
    throw OptionError(fmt::format("layer {} has no parameters; use 0 to {}, or -1 for those outside", layer, last));
  return positions;
}

std::vector<PositionList> named_positions(const ParamLayout& layout) {
  std::vector<PositionList> all(layout.blocks().size());
  for (size_t b = 0; b < all.size(); ++b) append(all[b], layout.blocks()[b]);
  return all;
}

void block_products(const LinearOperator& op, const std::vector<PositionList>& blocks,
                    const std::vector<Vector<double>>& vectors, std::vector<Vector<double>>& results) {
  EXPECTS(vectors.size() == blocks.size(), "block_products: {} vectors for {} blocks", vectors.size(), blocks.size());
  check_inside(op, blocks);
  for (size_t b = 0; b < blocks.size(); ++b)
    EXPECTS(vectors[b].size() == Index(blocks[b].size()), "block_products: vector of {} for block {} of {}",
            vectors[b].size(), b, blocks[b].size());
  results.resize(blocks.size());
  const Index count = Index(blocks.size());
  Basis products;
  for (Index first = 0; first < count; first += columns_at_once) {
    Basis wide = Basis::Zero(op.size, std::min(columns_at_once, count - first));
    for (Index j = 0; j < wide.cols(); ++j)
      for (size_t i = 0; i < blocks[size_t(first + j)].size(); ++i)
        wide(blocks[size_t(first + j)][i], j) = vectors[size_t(first + j)][Index(i)];
    multiply(op, wide, products);
    for (Index j = 0; j < wide.cols(); ++j)
      results[size_t(first + j)] = gathered(products.col(j), blocks[size_t(first + j)]);
  }
}

LinearOperator block_diagonal(LinearOperator op, std::vector<PositionList> blocks) {
  check_inside(op, blocks);
  const Index size = op.size;
  std::vector<bool> seen(static_cast<size_t>(size), false);
  for (const PositionList& block : blocks)
    for (Index p : block) {
      EXPECTS(!seen[size_t(p)], "block_diagonal: position {} is in two blocks", p);
      seen[size_t(p)] = true;
    }
  return {size, [op = std::move(op), blocks = std::move(blocks)](const Vector<double>& v, Vector<double>& result) {
            EXPECTS(v.size() == op.size, "block_diagonal of size {}: vector of {}", op.size, v.size());
            std::vector<Vector<double>> parts, products;
            for (const PositionList& block : blocks) parts.push_back(gathered(v, block));
            block_products(op, blocks, parts, products);
            result = Vector<double>::Zero(op.size);
            for (size_t b = 0; b < blocks.size(); ++b)
              for (size_t i = 0; i < blocks[b].size(); ++i) result[blocks[b][i]] = products[b][Index(i)];
          }};
}

}  // namespace hone
