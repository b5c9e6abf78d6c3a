// Inner kernels are compiled once for each instruction class into one program, and called through tables of pointers.
// A header of kernels defines them as templates over the scalar in `namespace hone::HONE_CLASS`, lists them, and says
// HONE_KERNEL_TABLE(Name, LIST): then hone::kernel<S>(…) calls, for float and double, the kernel of the class in use,
// and for every other scalar (the dual numbers of the tests) the template itself. A source named in hone_class_sources()
// of the build is compiled per class with HONE_CLASS set, includes such headers and says HONE_KERNELS_HERE(Name, LIST).
//   Inside HONE_CLASS nothing may be called that the compiler emits as a function of a common name (containers, fmt,
//   Eigen's own loops): the linker keeps one copy of it, of any class. A test reads the symbols of the objects.
#pragma once

#include <type_traits>
#include <utility>

#include "sim/base/instruction_class.hpp"

#ifdef HONE_CLASS
#define HONE_CLASS_SOURCE
#else
#define HONE_CLASS any
#endif

namespace hone {

/// The kernels of one class.
template <InstructionClass c, class Table>
const Table& table_of();

/// The kernels of the class in use.
template <class Table>
const Table& kernels() {
#if defined(__x86_64__)
  static const Table& chosen = []() -> const Table& {
    switch (instruction_class()) {
      case InstructionClass::v4: return table_of<InstructionClass::v4, Table>();
      case InstructionClass::v3: return table_of<InstructionClass::v3, Table>();
      default: return table_of<InstructionClass::v2, Table>();
    }
  }();
  return chosen;
#else
  return table_of<InstructionClass::base, Table>();
#endif
}

}  // namespace hone

// A list has the form  #define HONE_X_KERNELS(K) K(XKernels, first) K(XKernels, second)
#define HONE_KERNEL_MEMBER(Table, name) decltype(&HONE_CLASS::name<S>) name;
#define HONE_KERNEL_ADDRESS(Table, name) &HONE_CLASS::name<S>,
#define HONE_KERNEL_CALL(Table, name)                         \
  template <class S, class... A>                              \
  inline decltype(auto) name(A&&... a) {                      \
    if constexpr (std::is_floating_point_v<S>)                \
      return kernels<Table<S>>().name(std::forward<A>(a)...); \
    else                                                      \
      return any::name<S>(std::forward<A>(a)...);             \
  }
#define HONE_KERNEL_TYPE(Table, LIST) \
  template <class S>                  \
  struct Table {                      \
    LIST(HONE_KERNEL_MEMBER)          \
  };

#if defined(__x86_64__)
#define HONE_FOR_CLASSES(X, Table) X(v2, Table) X(v3, Table) X(v4, Table)
#else
#define HONE_FOR_CLASSES(X, Table) X(base, Table)
#endif
#define HONE_TABLE_ELSEWHERE(c, Table)                               \
  template <>                                                        \
  const Table<float>& table_of<InstructionClass::c, Table<float>>(); \
  template <>                                                        \
  const Table<double>& table_of<InstructionClass::c, Table<double>>();

#define HONE_TABLE_HERE(Table, LIST, scalar)                                     \
  template <>                                                                    \
  const Table<scalar>& table_of<InstructionClass::HONE_CLASS, Table<scalar>>() { \
    using S = scalar;                                                            \
    static constexpr Table<S> table{LIST(HONE_KERNEL_ADDRESS)};                  \
    return table;                                                                \
  }
#define HONE_KERNELS_HERE(Table, LIST) \
  HONE_TABLE_HERE(Table, LIST, float)  \
  HONE_TABLE_HERE(Table, LIST, double)

#ifdef HONE_CLASS_SOURCE
#define HONE_KERNEL_TABLE(Table, LIST) HONE_KERNEL_TYPE(Table, LIST)
#else
#define HONE_KERNEL_TABLE(Table, LIST)          \
  HONE_KERNEL_TYPE(Table, LIST)                 \
  HONE_FOR_CLASSES(HONE_TABLE_ELSEWHERE, Table) \
  LIST(HONE_KERNEL_CALL)
#endif
