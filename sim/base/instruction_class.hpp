// The instruction classes that one program holds its inner kernels for, and which of them this process uses.
//   source  x86-64 psABI 1.0, table 3.1 (microarchitecture levels)
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hone {

enum class InstructionClass {
  base,  ///< what the compiler takes for granted on a machine that is not x86-64
  v2,    ///< x86-64-v2: SSE4.2, vectors of 16 bytes, no fused multiply-add
  v3,    ///< x86-64-v3: AVX2 and FMA, vectors of 32 bytes
  v4,    ///< x86-64-v4: AVX-512 F, BW, CD, DQ and VL, vectors of 64 bytes
};

/// "base", "v2", "v3" or "v4".
std::string_view name_of(InstructionClass c);

/// The classes that this program holds and this machine can run, the least first.
std::vector<InstructionClass> usable_classes();

/// The class that `wanted` names among `usable`, the highest of them when it is empty.
/// errors  OptionError naming HONE_ISA, the value and what can be used here
InstructionClass choose_class(std::string_view wanted, const std::vector<InstructionClass>& usable);

/// The class of this process: the environment's HONE_ISA, or the highest that the machine can run. Chosen at the first
/// call and kept.
/// errors  as choose_class
InstructionClass instruction_class();

}  // namespace hone
