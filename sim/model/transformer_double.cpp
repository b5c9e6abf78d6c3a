#include "sim/model/transformer_passes.hpp"

namespace hone {
template class Transformer<double>;
template struct TransformerActs<double>;
}  // namespace hone
