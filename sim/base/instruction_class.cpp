#include "sim/base/instruction_class.hpp"

#include <cstdlib>

#include "sim/base/error.hpp"

namespace hone {

std::string_view name_of(InstructionClass c) {
  switch (c) {
    case InstructionClass::base: return "base";
    case InstructionClass::v2: return "v2";
    case InstructionClass::v3: return "v3";
    case InstructionClass::v4: return "v4";
  }
  return "";
}

std::vector<InstructionClass> usable_classes() {
#if defined(__x86_64__)
  std::vector<InstructionClass> usable;
  // Feature by feature, as not every compiler knows the names of the levels. The operating system's part, saved vector
  // registers, is in the compiler's answer for avx2 and avx512f.
  if (!(__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("popcnt")))
    return usable;
  usable.push_back(InstructionClass::v2);
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
        __builtin_cpu_supports("bmi2")))
    return usable;
  usable.push_back(InstructionClass::v3);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    usable.push_back(InstructionClass::v4);
  return usable;
#else
  return {InstructionClass::base};
#endif
}

InstructionClass choose_class(std::string_view wanted, const std::vector<InstructionClass>& usable) {
  if (usable.empty())
    throw OptionError("this processor lacks SSE4.2, which hone needs (x86-64-v2, processors since 2009); use another");
  if (wanted.empty()) return usable.back();
  std::vector<std::string_view> names;
  for (const InstructionClass c : usable) {
    if (name_of(c) == wanted) return c;
    names.push_back(name_of(c));
  }
  throw OptionError(fmt::format("HONE_ISA = '{}': this machine can run {}; set one of these or unset HONE_ISA", wanted,
                                fmt::join(names, ", ")));
}

InstructionClass instruction_class() {
  static const InstructionClass chosen = [] {
    const char* wanted = std::getenv("HONE_ISA");
    return choose_class(wanted ? wanted : "", usable_classes());
  }();
  return chosen;
}

}  // namespace hone
