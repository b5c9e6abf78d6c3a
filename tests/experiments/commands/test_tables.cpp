// The tables of a study that was run: what they hold, and that they answer every question as its run files do.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <set>

#include "sim/base/gzip.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/messages.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

/// A text of squares modulo a prime.
std::string squares(std::int64_t prime) {
  std::string text;
  for (std::int64_t i = 0; text.size() < 200'000; ++i)
    text += fmt::format("{} {}\n", i * i % prime, i % 7 == 0 ? "and" : "or");
  return text;
}

/// The quick study on a text, with windows of another text, schemes, decoding, and a model trained at low precision.
std::string every_instrument() {
  static const TemporaryFolder texts;
  const auto data = [&](const char* name, std::int64_t prime) {
    return fmt::format("name = \"{0}\"\nkind = \"text\"\nfiles = [\"{1}\"]\n", name,
                       texts.write(name, squares(prime)).string());
  };
  std::string text = replaced(quick_text(), "name = \"zipf\"\nkind = \"markov\"\nvocabulary = 64\n",
                              data("zipf", 9973) + "\n[[data]]\n" + data("other", 1009));
  const std::string llama = "kind = \"llama\"\ndata = \"zipf\"\n";
  text = replaced(text, llama, llama + "shifted_data = \"other\"\n");
  text = replaced(text, "[train]\n",
                  "[[models]]\nname = \"low\"\narm = \"qat\"\n" + llama +
                      "layers = 1\nwidth = 16\nheads = 2\nmlp_width = 32\ncontext = 32\n"
                      "tokens = 20480\nfirst_tokens = 20480\ncheckpoints = 1\nlr = 6e-3\n"
                      "train_weight_bits = 3\n\n[train]\n");
  text =
      replaced(text, "[quantize]\n", "[quantize]\nschemes = [\"rtn\"]\nscheme_bits = [4]\ncalibration_windows = 8\n");
  return text + "\n[decode]\npolicies = [\"token4\"]\naverage_bits = [4]\nlength = 64\nwindows = 2\n";
}

const Workplace& judged() {
  static const Workplace place(every_instrument());
  static const Said ran = place.says("run", {"--jobs", "2", "--threads", "1"});
  REQUIRE_MESSAGE(ran.code == 0, ran.err);
  static const Said said = place.says("judge");
  REQUIRE_MESSAGE(said.code == 0, said.err);
  return place;
}

/// The answers to the tables in a folder.
nlohmann::json answers_of(const Workplace& place, const fs::path& tables, const std::string& out) {
  const Said said = hone_says({"judge", place.file(), "--table", tables.string(), "--out", place.path(out).string()});
  REQUIRE_MESSAGE(said.code == 0, said.err);
  return nlohmann::json::parse(read_text(place.path(out) / "verdict.json"));
}

}  // namespace

TEST_CASE("tables: of a study with every instrument there is one for each kind, and each is small") {
  std::set<std::string> found;
  for (const auto& file : fs::directory_iterator(judged().out() / "tables")) {
    found.insert(file.path().filename().string());
    CHECK(fs::file_size(file) < 1'000'000);
  }
  for (const char* kind : {"damage",
                           "curvature",
                           "factorial",
                           "noise",
                           "losses",
                           "shift",
                           "schemes",
                           "cache",
                           "copies",
                           "schedules",
                           "checkpoints",
                           "series",
                           "qat",
                           "shifted",
                           "rounding",
                           "spectra",
                           "eigenvalues",
                           "eigenvalues_smallest",
                           "density",
                           "windows",
                           "blocks",
                           "certificates",
                           "preconditioned",
                           "scheme_entries",
                           "scheme_blocks",
                           "decode",
                           "decode_copy",
                           "decode_free",
                           "decode_differences",
                           "decode_schedules"})
    CHECK_MESSAGE(found.erase(std::string(kind) + ".csv.gz") == 1, kind);
  CHECK_MESSAGE(found.empty(), *found.begin());
}

TEST_CASE("tables: they give the verdicts and claims of the run files, byte for byte") {
  const Workplace& place = judged();
  const nlohmann::json again = answers_of(place, place.out() / "tables", "again");
  size_t numbers = 0;
  for (const auto& verdict : again.at("verdicts")) numbers += verdict.at("findings").size();
  CHECK(numbers > 100);
  for (const char* name : {"verdict.json", "claims.json"})
    CHECK_MESSAGE(read_text(place.path("again") / name) == read_text(place.out() / name), name);
}

TEST_CASE("tables: a changed column of any kind that a question reads changes an answer") {
  const Workplace& place = judged();
  const nlohmann::json whole = nlohmann::json::parse(read_text(place.out() / "verdict.json"));
  const std::pair<std::string, std::string> read[] = {{"damage", "delta_nats"},
                                                      {"curvature", "trace"},
                                                      {"factorial", "delta_nats"},
                                                      {"noise", "residual_share"},
                                                      {"losses", "loss_nats"}};
  for (const auto& column : read) {
    const std::string& kind = column.first;
    const std::string folder = "without_" + kind;
    fs::copy(place.out() / "tables", place.path(folder));
    const fs::path file = place.path(folder) / (kind + ".csv.gz");
    // Under another name the column is a later version's, which a table may lack.
    const std::string text = gunzip(read_text(file), file.string());
    const size_t header = text.find('\n'), at = text.rfind("," + column.second + ",", header) + 1;
    write_text_atomically(file, gzip(text.substr(0, at) + "was_" + text.substr(at)));
    CHECK_MESSAGE(answers_of(place, place.path(folder), "answers_" + kind) != whole, kind);
  }
}

}  // namespace hone::test

TEST_SUITE_END();
