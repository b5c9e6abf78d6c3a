// Parts of the parameters by name or by layer, and the principal blocks of an operator on many parts at once: the
// products of all blocks are columns of one product of many, so the primal passes are shared.
#pragma once

#include <string_view>
#include <vector>

#include "sim/curvature/operators.hpp"
#include "sim/model/params.hpp"

namespace hone {

using PositionList = std::vector<Index>;  ///< places in the flat parameter vector

/// Places of all blocks whose name fits a shell pattern (* ? [abc]), such as "layers.*.wq", ascending.
/// errors  OptionError naming the nearest known block when none fits
PositionList matching_positions(const ParamLayout& layout, std::string_view pattern);

/// Places of all blocks of one of the repeated layers, ascending; -1 for those outside of them.
/// errors  OptionError when no block has that layer
PositionList layer_positions(const ParamLayout& layout, int layer);

/// Places of each block of the layout, in its order. A tied matrix is one block, with the curvature of both its uses.
std::vector<PositionList> named_positions(const ParamLayout& layout);

/// results[b] = A_bb vectors[b] for every block b.
/// shapes   vectors, results: one vector of the block's size per block; results is resized
/// expects  blocks inside the operator; they may overlap
/// ensures  bits of restrict_to(op, blocks[b]) one by one
/// cost     as many columns of a product of many as there are blocks; memory for 16 vectors of op.size
void block_products(const LinearOperator& op, const std::vector<PositionList>& blocks,
                    const std::vector<Vector<double>>& vectors, std::vector<Vector<double>>& results);

/// The operator without its couplings between blocks, ⊕ A_bb, and zero outside of them.
/// errors  ContractError when blocks overlap or leave the operator
LinearOperator block_diagonal(LinearOperator op, std::vector<PositionList> blocks);

}  // namespace hone
