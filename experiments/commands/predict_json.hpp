// The answers of hone predict as JSON.
#pragma once

#include <string>

#include "theory/planner/predict_by_law.hpp"

namespace hone::experiments {

/// {"schema": 1, "asked": …, "curvature": …, "law": …, "budget": …}; numbers that are not finite become null.
std::string prediction_json(const theory::Asked& asked, const theory::CurvatureRoute& curvature,
                            const theory::LawRoute& law, const theory::BudgetAnswer& budget);

}  // namespace hone::experiments
