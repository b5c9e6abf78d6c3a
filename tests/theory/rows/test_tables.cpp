#include "theory/rows/tables.hpp"

#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/gzip.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/questions/selection.hpp"

using namespace hone;
using namespace hone::theory;
using hone::test::mentions;
using hone::test::message_of;

namespace {

Table every_kind() {
  Table table = planted({});
  table.factorial = factorial(0.1, 0.1).factorial;
  table.noise = noise_rows(1, 1, 0.1).noise;
  add_losses(table, {}, 0.1);
  ShiftRow shift;
  static_cast<Subject&>(shift) = table.ptq.front();
  shift.shifted_data = "essays, \"modern\"\nand more", shift.P = 4, shift.delta = 0.1;
  table.shift = {shift};
  SchemeRow scheme;
  static_cast<Subject&>(scheme) = table.ptq.front();
  scheme.scheme = "rotate+rtn", scheme.P = 3, scheme.delta = -1e-300;
  table.schemes = {scheme};
  ExpertRow expert;
  static_cast<Subject&>(expert) = table.ptq.front();
  expert.style = "llama", expert.sub_norms = "on", expert.layers = 2, expert.width = 8, expert.heads = 4;
  expert.kv_heads = 2, expert.mlp_width = 24, expert.experts = 4, expert.experts_per_token = 1;
  expert.P = 3, expert.layer = 1, expert.expert = 2, expert.load = 0.7, expert.delta = 1e-3;
  table.expert_damage = {expert};
  table.ptq[0].delta = NAN;
  table.ptq[1].seed = std::int64_t(9007199254740993);  // not a double
  return table;
}

}  // namespace

TEST_SUITE("rows") {
  TEST_CASE("tables: files give back every row, and the same verdicts byte for byte, packed or not") {
    const Table table = every_kind();
    const auto texts = to_tables(table);
    CHECK(texts.size() == 8);
    for (const bool is_packed : {false, true}) {
      const test::TemporaryFolder folder;
      for (const auto& [name, text] : texts)
        folder.write(name + (is_packed ? ".csv.gz" : ".csv"), is_packed ? gzip(text) : text);
      const Table read = from_tables(folder.path());
      CHECK(to_tables(read) == texts);
      CHECK(to_json(judge(read, Thresholds{})) == to_json(judge(table, Thresholds{})));
      CHECK(read.ptq[1].seed == table.ptq[1].seed);
      CHECK(read.shift[0].shifted_data == table.shift[0].shifted_data);
      CHECK(recipe_of(read.expert_damage[0]) == recipe_of(table.expert_damage[0]));
      CHECK(read.expert_damage[0].active_N() == table.expert_damage[0].active_N());
    }
  }

  TEST_CASE("tables: a number or a text that an older table lacks has the value of a row that does not know it") {
    const test::TemporaryFolder folder;
    folder.write("damage.csv", "run,architecture,seed,params,tokens,kind,bits\na,mlp,3,100,2000,trunk,4\n");
    const Table read = from_tables(folder.path());
    REQUIRE(read.ptq.size() == 1);
    CHECK(read.ptq[0].P == 4);
    CHECK(read.ptq[0].arm == "main");
    CHECK(std::isnan(read.ptq[0].remainder_se));
    CHECK(read.ptq[0].train_w_bits == 16);
  }

  TEST_CASE("tables: a folder without tables, and a cell that is no number, are named") {
    const test::TemporaryFolder folder;
    CHECK_MESSAGE(mentions(message_of<IoError>([&] { (void)from_tables(folder.path()); }), "holds no table"), "");
    auto texts = to_tables(planted({}));
    std::string& damage = texts.at("damage");
    const size_t line = damage.find('\n') + 1, cell = damage.rfind(',', damage.find('\n', line));
    damage.replace(cell + 1, damage.find('\n', line) - cell - 1, "many");
    folder.write("damage.csv", damage);
    const std::string said = message_of<FormatError>([&] { (void)from_tables(folder.path()); });
    CHECK_MESSAGE(mentions(said, "damage.csv, line 2: mean_step2 = \"many\", expected a number"), said);
  }
}
