// hone fit as a user runs it. The published tables are read where HONE_PUBLISHED_TABLES names a folder with
// chinchilla_besiroglu/svg_extracted_data.csv and gemstones/wandb_df_for_fitting_*.jsonl.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "sim/base/atomic_file.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/near.hpp"
#include "theory/laws/laws.hpp"

TEST_SUITE_BEGIN("studies");

namespace hone {
namespace {

using test::hone_says;
using test::mentions;
using test::Said;
using Json = nlohmann::json;

/// Damages of an exponential law of bits in two sizes, three token counts and three runs each; the runs depart by 1 %.
std::string damages() {
  std::string text = "size,billion_tokens,bits,rise,run\n";
  int run = 0;
  for (const double n : {1e8, 1e9})
    for (const double noise : {-0.01, 0.0, 0.01}) {
      ++run;
      for (const double d : {1, 10, 100})
        for (const double p : {3, 4, 5, 6}) {
          const double y =
              theory::predict(theory::LawKind::ptq_exponential, {-8, 0.5, 0.3, 1.6}, {.N = n, .D = d * 1e9, .P = p});
          text += fmt::format("{},{},{},{},r{}\n", n, d, p, y * std::exp(noise * d / 10), run);
        }
    }
  return text;
}

const std::vector<std::string> columns = {
    "--columns", "N=size,D=billion_tokens,P=bits,y=rise,run=run", "--units", "D=1e9", "--law", "exponential"};

Said fits(const std::filesystem::path& table, const std::vector<std::string>& more) {
  std::vector<std::string> words{"fit", table.string()};
  words.insert(words.end(), more.begin(), more.end());
  return hone_says(words);
}

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

double estimate(const Json& fit, const char* parameter) { return fit.at("parameters").at(parameter).at("estimate"); }

const char* published_tables() {
  const char* folder = std::getenv("HONE_PUBLISHED_TABLES");
  if (!folder) MESSAGE("skipped: set HONE_PUBLISHED_TABLES to a folder with chinchilla_besiroglu and gemstones");
  return folder;
}

}  // namespace

TEST_CASE("fit: a table gives its law back, with intervals by runs, rivals and rows held out") {
  const test::TemporaryFolder folder;
  const auto table = folder.write("t.csv", damages());
  const auto out = folder.path() / "fit.json";
  const Said said = fits(
      table, with(columns, {"--rivals", "bit_power,step", "--hold-out", "billion_tokens > 50", "--out", out.string()}));
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const Json fit = Json::parse(read_text(out));
  CHECK_NEAR(estimate(fit, "gamma_D"), 0.5, 1e-3, 0);
  CHECK_NEAR(estimate(fit, "1/gamma_post"), 1.6, 1e-9, 0);
  CHECK_NEAR(estimate(fit, "C"), std::exp(-8), 1e-2, 0);
  CHECK(fit.at("parameters").at("gamma_D").at("low") < 0.5);
  CHECK(fit.at("runs") == 6);
  CHECK(fit.at("rows") == 48);
  CHECK(fit.at("held_out").at("rows") == 24);
  CHECK(fit.at("objective") == "half the sum of squares of ln y - ln prediction");
  CHECK(fit.at("rivals").at(0).at("law") == "bit_power");
  CHECK(fit.at("rivals").at(0).at("difference").at("low") > 0);  // the rival errs more
  CHECK(mentions(said.out, "6 runs"));
  CHECK(said.err == "");
}

TEST_CASE("fit: a parameter is held, and squares or another scale of Huber's loss are named") {
  const test::TemporaryFolder folder;
  const auto table = folder.write("t.csv", damages());
  const Said said = fits(table, with(columns, {"--hold", "gamma_N=0.3", "--huber", "inf"}));
  CHECK_MESSAGE(mentions(said.out, "held: gamma_N = 0.3"), said.out);
  CHECK(mentions(said.out, "half the sum of squares"));
  CHECK(mentions(fits(table, with(columns, {"--hold", "gamma_N=0.3", "--huber", "1e-4"})).out, "delta = 0.0001"));
}

TEST_CASE("fit: misuse is named, and nothing is written") {
  const test::TemporaryFolder folder;
  const auto table = folder.write("t.csv", damages());
  const auto says = [&](const std::vector<std::string>& more) {
    const Said said = fits(table, with(columns, more));
    CHECK(said.code == 2);
    return said.err;
  };
  CHECK(mentions(says({"--rivals", "capybara2"}), "law \"capybara2\" is not known; known: exponential"));
  CHECK(mentions(says({"--hold", "gamma=1"}), "has no such parameter (it has: ln C, gamma_D"));
  CHECK(mentions(says({"--rivals", "chinchilla,qat_group"}), "law qat_group needs y N D group; name group"));
  CHECK(mentions(says({"--hold-out", "bits > 16"}), "no row of"));
  CHECK(mentions(says({"--out", table.string()}), "is the table, which it would replace"));
  CHECK(mentions(says({"--keep", "bits ~ 3"}), "give a column"));
  CHECK(mentions(says({"--huber", "-1"}), "--huber -1: give a positive number"));
  CHECK(read_text(table) == damages());
  const Said few = fits(table, with(columns, {"--keep", "bits == 3", "--keep", "run == r1", "--keep",
                                              "billion_tokens == 1", "--out", (folder.path() / "few.json").string()}));
  CHECK(few.code == 5);
  CHECK(mentions(few.out, "no fit"));
  const Said broken = fits(folder.write("b.csv", "size,billion_tokens,bits,rise,run\n1e8,1,3,-0.1,a\n"), columns);
  CHECK(broken.code == 1);
  CHECK_MESSAGE(mentions(broken.err, "b.csv, line 2: rise = \"-0.1\": y must be a finite number above 0"), broken.err);
}

TEST_CASE("fit: the Chinchilla refit of Besiroglu et al. comes out to its last digit") {
  const char* tables = published_tables();
  if (!tables) return;
  const test::TemporaryFolder folder;
  const auto out = folder.path() / "fit.json";
  const Said said =
      fits(std::filesystem::path(tables) / "chinchilla_besiroglu" / "svg_extracted_data.csv",
           {"--columns", "N=Model Size,C=Training FLOP,y=loss", "--keep", "loss < 3.44", "--out", out.string()});
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const Json fit = Json::parse(read_text(out));
  CHECK(fit.at("rows") == 240);
  CHECK_NEAR(double(fit.at("value")), 0.0010182740178, 1e-9, 0);
  CHECK_NEAR(estimate(fit, "alpha"), 0.3473, 1e-3, 0);
  CHECK_NEAR(estimate(fit, "beta"), 0.3672, 1e-3, 0);
  CHECK_NEAR(estimate(fit, "E"), 1.8172, 1e-3, 0);
}

TEST_CASE("fit: the published optima of the Gemstones tables are reached or beaten") {
  const char* tables = published_tables();
  if (!tables) return;
  for (const auto& [name, huber, published] :
       {std::tuple{"hot", "1e-3", 0.0019816129}, {"hot", "1e-4", 0.0002076018}, {"cool_end", "1e-4", 0.0002059406}}) {
    const test::TemporaryFolder folder;
    const auto out = folder.path() / "fit.json";
    const Said said =
        fits(std::filesystem::path(tables) / "gemstones" / fmt::format("wandb_df_for_fitting_{}.jsonl", name),
             {"--columns", "N=params_active_precise,D=tokens,y=final_loss,run=run_name", "--huber", huber, "--out",
              out.string()});
    REQUIRE_MESSAGE(said.code == 0, said.err);
    const double value = Json::parse(read_text(out)).at("value");
    CHECK(value <= published * (1 + 1e-7));
    CHECK(value > 0.99 * published);
  }
}

}  // namespace hone
