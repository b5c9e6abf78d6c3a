// One flat parameter vector and the table that says what lies where in it. Every view of a weight is made
// from this table; there is no second list of sizes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/matrix.hpp"

namespace hone {

/// What a block of parameters does in the model.
enum class Role { embedding, position, norm, matrix, bias, head, step, router };

/// Along which parameters a direction goes. What it leaves alone costs a tangent pass nothing.
enum class Moving { all, quantizable };

/// rows×cols parameters, row-major, at `offset` of the flat vector. Weight matrices are (out, in): y = W x.
struct ParamBlock {
  std::string name;
  int layer = -1;  ///< -1 outside the repeated layers
  Role role = Role::matrix;
  Index offset = 0;
  Index rows = 0;
  Index cols = 0;

  Index size() const { return rows * cols; }
  /// The matrices inside the layers; embeddings, norms, biases, routers and the head stay in full
  /// precision.
  bool is_quantizable() const { return role == Role::matrix; }
  /// Weight decay acts on matrices (embeddings, routers and head included), never on norms, biases or learned steps.
  bool is_decayed() const { return role != Role::norm && role != Role::bias && role != Role::step; }
};

/// Table of all blocks in the order of the flat vector, without gaps.
class ParamLayout {
 public:
  /// Appends a block and returns its number.
  int add(std::string name, int layer, Role role, Index rows, Index cols);

  const std::vector<ParamBlock>& blocks() const { return blocks_; }
  const ParamBlock& operator[](int number) const { return blocks_[static_cast<size_t>(number)]; }
  /// The block of that name; null when there is none.
  const ParamBlock* find(std::string_view name) const;
  /// errors  OptionError naming the nearest known block
  const ParamBlock& at(std::string_view name) const;

  /// Number of parameters, with embeddings.
  Index size() const { return size_; }
  /// Number of parameters in quantizable blocks: the N of the scaling laws.
  Index quantizable_size() const;
  /// Flat positions of all quantizable parameters, ascending.
  std::vector<Index> quantizable_indices() const;

 private:
  std::vector<ParamBlock> blocks_;
  Index size_ = 0;
};

template <class S>
ConstMatView<S> view(const S* theta, const ParamBlock& block) {
  return ConstMatView<S>(theta + block.offset, block.rows, block.cols);
}
template <class S>
MatView<S> view(S* theta, const ParamBlock& block) {
  return MatView<S>(theta + block.offset, block.rows, block.cols);
}

}  // namespace hone
