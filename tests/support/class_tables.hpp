// The kernels of any instruction class that this machine can run, whichever this process uses.
#pragma once

#include <algorithm>

#include "sim/base/dispatch.hpp"

namespace hone::test {

inline bool is_usable(InstructionClass c) {
  const auto usable = usable_classes();
  return std::find(usable.begin(), usable.end(), c) != usable.end();
}

/// expects  is_usable(c)
template <class Table>
const Table& table_for(InstructionClass c) {
#if defined(__x86_64__)
  if (c == InstructionClass::v4) return table_of<InstructionClass::v4, Table>();
  if (c == InstructionClass::v3) return table_of<InstructionClass::v3, Table>();
  return table_of<InstructionClass::v2, Table>();
#else
  return table_of<InstructionClass::base, Table>();
#endif
}

}  // namespace hone::test
