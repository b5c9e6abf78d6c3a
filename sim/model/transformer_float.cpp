#include "sim/model/transformer_passes.hpp"

namespace hone {
template class Transformer<float>;
template struct TransformerActs<float>;
}  // namespace hone
