#include "sim/model/params.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace hone {

int ParamLayout::add(std::string name, int layer, Role role, Index rows, Index cols) {
  EXPECTS(rows > 0 && cols > 0, "parameter block {}: {} x {} values", name, rows, cols);
  blocks_.push_back({std::move(name), layer, role, size_, rows, cols});
  size_ += rows * cols;
  return static_cast<int>(blocks_.size()) - 1;
}

const ParamBlock* ParamLayout::find(std::string_view name) const {
  const auto found =
      std::find_if(blocks_.begin(), blocks_.end(), [&](const ParamBlock& block) { return block.name == name; });
  return found == blocks_.end() ? nullptr : &*found;
}

const ParamBlock& ParamLayout::at(std::string_view name) const {
  if (const ParamBlock* block = find(name)) return *block;
  std::vector<std::string> known;
  for (const ParamBlock& block : blocks_) known.push_back(block.name);
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
