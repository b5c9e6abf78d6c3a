#include "theory/questions/q16_further.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

TEST_SUITE("questions") {
  TEST_CASE(
      "Q16: the cost of quantizing further is that of the loss at the bits of training, less that of full precision") {
    // Full precision loses 1e-2 (D/1e6)^0.5 nats at 2 bits and a third of it at 3; models trained at 3 bits half as much at
    // 2 bits with another exponent, and those trained at 4 bits a tenth more.
    Table table;
    const auto at = [&](double d, int seed, double trained, double bits, double cost) {
      PtqRow r;
      static_cast<Subject&>(r) = subject_of(1e5, d, seed, trained < 16 ? "qat_trunk" : "trunk");
      r.run += fmt::format(" {} {}", seed, trained);
      r.train_w_bits = trained, r.method = trained < 16 ? "qat" : "";
      LossRow own;
      static_cast<Subject&>(own) = r;
      own.loss = 2.1;
      r.P = bits, r.loss = trained < 16 ? 2.3 : 2.1;  // of the latent weights, which nobody trained to be good
      r.delta = own.loss + cost - r.loss, r.delta_se = 1e-4;
      table.ptq.push_back(r);
      table.losses.push_back(own);
    };
    for (const double d : {1e6, 1e7, 1e8})
      for (int seed = 0; seed < 3; ++seed) {
        const double two = 1e-2 * std::sqrt(d / 1e6) * (1 + 0.01 * seed);
        at(d, seed, 16, 2, two), at(d, seed, 16, 3, two / 3);
        at(d, seed, 3, 2, two / 2 * std::pow(d / 1e6, 0.2)), at(d, seed, 3, 3, 0);
        at(d, seed, 4, 3, two / 3 + 1e-3);
      }
    Verdict v;
    v.id = "Q16";
    add_further_quantization(v, table, Thresholds{});
    double change = 0;
    for (const double d : {1e6, 1e7, 1e8})
      change += 1e-2 * std::sqrt(d / 1e6) * 1.01 * (std::pow(d / 1e6, 0.2) / 2 - 1) / 3;
    CHECK_NEAR(number(v, "q16.further.w3_to_w2"), change, 0, 1e-12);
    CHECK_NEAR(number(v, "q16.further.w4_to_w3"), 1e-3, 0, 1e-12);
    CHECK_NEAR(number(v, "q16.further"), (change + 1e-3) / 2, 0, 1e-12);
    CHECK_NEAR(number(v, "q16.further.exponent_gap"), 0.2, 0, 1e-3);  // each row weighs by its relative error
    CHECK(find_finding(v, "q16.further.w3_to_w3") == nullptr);        // not fewer than those of training
    Verdict none;
    none.id = "Q16";
    table.losses.clear();  // without the loss at the bits of training nothing is known
    add_further_quantization(none, table, Thresholds{});
    CHECK(none.findings.empty());
    CHECK(none.prose.empty());
  }
}
