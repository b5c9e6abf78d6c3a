#include "theory/questions/scheme_selection.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

SchemeRow row_of(double bits) {
  SchemeRow r;
  static_cast<Subject&>(r) = subject_of(1e5, 1e7, 0, "trunk");
  r.scheme = "gptq", r.P = bits;
  r.delta = 0.05, r.delta_se = 0.01, r.gradient = 0.02, r.quadratic = 0.04;
  return r;
}

}  // namespace

TEST_SUITE("schemes") {
  TEST_CASE("is_scheme_of_weights: the main trunk of a transformer, with activations and cache as they are") {
    CHECK(is_scheme_of_weights(row_of(4)));
    for (const auto& change : std::initializer_list<void (*)(SchemeRow&)>{
             [](SchemeRow& r) { r.a_bits = 8; }, [](SchemeRow& r) { r.kv_bits = 4; },
             [](SchemeRow& r) { r.variant = "cooled"; }, [](SchemeRow& r) { r.arm = "lr"; },
             [](SchemeRow& r) { r.architecture = Architecture::mlp; }}) {
      SchemeRow r = row_of(4);
      change(r);
      CHECK_FALSE(is_scheme_of_weights(r));
    }
  }

  TEST_CASE("is_within_bits: the range of the study for ladders, always for formats") {
    const Thresholds t;
    CHECK(is_within_bits(row_of(t.ptq_bits_min), t));
    CHECK(is_within_bits(row_of(t.ptq_bits_max), t));
    CHECK_FALSE(is_within_bits(row_of(t.ptq_bits_min - 1), t));
    CHECK_FALSE(is_within_bits(row_of(t.ptq_bits_max + 1), t));
    CHECK(is_within_bits(row_of(0), t));
  }

  TEST_CASE("second_order, remainder_error: what other windows and window noise say where they are recorded") {
    SchemeRow r = row_of(4);
    CHECK(remainder(r) == 0.05 - 0.02);
    CHECK(second_order(r) == 0.04);
    CHECK(remainder_error(r) == 0.01);
    r.quadratic_other = 0.03, r.remainder_se = 0.001;
    CHECK(second_order(r) == 0.03);
    CHECK(remainder_error(r) == 0.001);
  }
}
