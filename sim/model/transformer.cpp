#include "sim/model/transformer.hpp"

namespace hone {

template struct TransformerActs<float>;
template struct TransformerActs<double>;
template class Transformer<float>;
template class Transformer<double>;

}  // namespace hone
