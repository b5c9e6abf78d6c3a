#include "sim/model/params.hpp"

#include "sim/base/error.hpp"

namespace hone {

int ParamLayout::add(std::string name, int layer, Role role, Index rows, Index cols) {
  EXPECTS(rows > 0 && cols > 0, "parameter block {}: {} x {} values", name, rows, cols);
  blocks_.push_back({std::move(name), layer, role, size_, rows, cols});
  size_ += rows * cols;
  return static_cast<int>(blocks_.size()) - 1;
}

const ParamBlock& ParamLayout::at(std::string_view name) const {
  std::vector<std::string> known;
  for (const ParamBlock& block : blocks_) {
    if (block.name == name) return block;
    known.push_back(block.name);
  }
  throw OptionError(fmt::format("no parameter block '{}'; did you mean '{}'?", name, nearest_name(name, known)));
}

Index ParamLayout::quantizable_size() const {
  Index count = 0;
  for (const ParamBlock& block : blocks_)
    if (block.is_quantizable()) count += block.size();
  return count;
}

std::vector<Index> ParamLayout::quantizable_indices() const {
  std::vector<Index> indices;
  for (const ParamBlock& block : blocks_)
    for (Index i = 0; block.is_quantizable() && i < block.size(); ++i) indices.push_back(block.offset + i);
  return indices;
}

}  // namespace hone
