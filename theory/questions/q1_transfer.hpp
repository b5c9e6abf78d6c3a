// Q1 beyond the data of training: windows of another corpus, branches tuned to another, and trunks of other data.
#pragma once

#include "theory/questions/growth.hpp"

namespace hone::theory {

/// Findings on windows of another corpus, on branches tuned to another, and on trunks of other data: does the damage
/// there grow alike?
void add_transfer(Verdict& v, const Table& table, const Growth& growth, const Thresholds& thresholds);

}  // namespace hone::theory
