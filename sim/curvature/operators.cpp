#include "sim/curvature/operators.hpp"

namespace hone {

LinearOperator restrict_to(LinearOperator full, std::vector<Index> positions) {
  for (Index p : positions)
    EXPECTS(p >= 0 && p < full.size, "restrict_to: position {} in an operator of size {}", p, full.size);
  const Index size = Index(positions.size());
  auto wide = std::make_shared<std::pair<Vector<double>, Vector<double>>>(Vector<double>::Zero(full.size),
                                                                          Vector<double>::Zero(full.size));
  return {size, [full = std::move(full), positions = std::move(positions), wide](const Vector<double>& v,
                                                                                 Vector<double>& result) {
            for (size_t i = 0; i < positions.size(); ++i) wide->first[positions[i]] = v[Index(i)];
            full.apply(wide->first, wide->second);
            result.resize(Index(positions.size()));
            for (size_t i = 0; i < positions.size(); ++i) result[Index(i)] = wide->second[positions[i]];
          }};
}

}  // namespace hone
