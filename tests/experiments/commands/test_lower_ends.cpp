// Every option and every field of a study at the lower end of its range, run for real: a range begins where the program
// works, and no error bar comes from one sample.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "experiments/instruments/error_bar.hpp"
#include "tests/experiments/checkpoint.hpp"
#include "tests/experiments/program.hpp"

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

using experiments::Range;
using Words = std::vector<std::string>;

/// Collects "key = lowest value" of every number of a part of a study.
struct LowerEnds {
  std::vector<std::pair<std::string, std::string>> found;

  void operator()(const char* key, const std::int64_t& value, Range range = {}) {
    if (range.low > -1e300) found.emplace_back(key, std::to_string(std::int64_t(range.low)));
  }
  void operator()(const char* key, const double& value, Range range = {}) {
    if (range.low > -1e300) found.emplace_back(key, fmt::format("{:e}", range.low));
  }
  template <class T>
  void operator()(const char* key, const std::vector<T>& values, Range range = {}) {
    if (range.low > -1e300) found.emplace_back(key, fmt::format("[{:e}]", range.low));
  }
  void operator()(const char* key, const std::vector<std::int64_t>& values, Range range = {}) {
    if (range.low > -1e300) found.emplace_back(key, fmt::format("[{}]", std::int64_t(range.low)));
  }
  void operator()(const char*, const std::string&) {}
  void operator()(const char*, const Words&) {}
};

template <class Part>
std::vector<std::pair<std::string, std::string>> lower_ends_of(Part part) {
  LowerEnds ends;
  part.fields(ends);
  return ends.found;
}

/// The study with the field set in that table, in place of what it says there.
std::string with_field(const std::string& study, const std::string& table, const std::string& key,
                       const std::string& value) {
  const std::string head = "[" + table + "]\n";
  const size_t at = study.find(head);
  if (at == std::string::npos) return study + head + key + " = " + value + "\n";
  const size_t begin = at + head.size(), end = std::min(study.find("\n[", begin), study.size());
  std::string body = "\n" + study.substr(begin, end - begin);
  const size_t old = body.find("\n" + key + " = ");
  if (old != std::string::npos) body.erase(old, body.find('\n', old + 1) - old);
  return study.substr(0, begin) + key + " = " + value + body + study.substr(end);
}

template <class Part>
void run_lower_ends(const std::string& table) {
  for (const auto& [key, value] : lower_ends_of(Part())) {
    CAPTURE(table);
    CAPTURE(key);
    CAPTURE(value);
    std::string text = with_field(tiny_text(), table, key, value);
    if (key == "evaluation_windows") text = with_field(text, table, "curvature_windows", value);  // a subset of them
    for (const char* grid : {"grid", "activation_grid", "kv_grid"})  // the symmetric ones begin at 2 bits
      text = with_field(text, "quantize", grid, "\"asymmetric\"");
    const Workplace place(text);
    const Said said = place.says("run", alone);
    REQUIRE_MESSAGE(said.code == 0, said.err);
    const Dataset& curvature = place.read(0).group("curvature");
    for (const char* error : {"trace_se", "second_trace_se", "frobenius2_se"})
      for (const double se : curvature.doubles(error)) CHECK_MESSAGE(std::isfinite(se), error);
    CHECK(place.says("judge").code == 0);
  }
}

TEST_CASE("lower ends: a study runs and is judged with each field at the lower end of its range") {
  run_lower_ends<experiments::MeasureSpec>("measure");
  run_lower_ends<experiments::TrainSpec>("train");
  run_lower_ends<experiments::QuantizeSpec>("quantize");
  run_lower_ends<experiments::NoiseSpec>("noise");
}

TEST_CASE("lower ends: parts of the windows are four or more, or none") {
  for (const char* parts : {"1", "2", "3"}) {
    const Said said = Workplace(with_field(tiny_text(), "measure", "windows", parts)).says("plan");
    CHECK(said.code != 0);
    CHECK_MESSAGE(said.err.find(fmt::format("measure.windows = {}", parts)) != std::string::npos, said.err);
  }
  CHECK(Workplace(with_field(tiny_text(), "measure", "windows", "4")).says("plan").code == 0);
}

TEST_CASE("lower ends: a study with a value below one, or above the upper end, is refused before it runs") {
  const std::vector<Words> tried = {{"measure", "slq_probes", "1"},
                                    {"measure", "trace_probes", "1"},
                                    {"measure", "evaluation_windows", "1"},
                                    {"measure", "lanczos_tolerance", "0.6"},
                                    {"train", "eps", "1e-31"},
                                    {"noise", "draws", "1"},
                                    {"decode", "average_bits", "[1.5]"},
                                    {"decode", "average_bits", "[7.5]"}};
  for (const Words& field : tried) {
    const Workplace place(with_field(tiny_text(), field[0], field[1], field[2]));
    const Said said = place.says("run", alone);
    CHECK(said.code == 2);
    CHECK_MESSAGE(said.err.find(fmt::format("{}.{}", field[0], field[1])) != std::string::npos, said.err);
    CHECK(!std::filesystem::exists(place.out()));
  }
}

/// The checkpoint looked at by `words`, the last of an option counting.
Said looked_at(const Checkpoint& checkpoint, const Words& words, const Words& more) {
  Words all = {words.front(), checkpoint.path(), "--text", checkpoint.file("text.txt").string()};
  for (size_t i = 1; i + 1 < words.size(); i += 2) {
    if (std::find(more.begin(), more.end(), words[i]) != more.end()) continue;
    all.push_back(words[i]), all.push_back(words[i + 1]);
  }
  for (const std::string& word :
       {std::string("--out"), checkpoint.out().string(), std::string("--threads"), std::string("1")})
    all.push_back(word);
  all.insert(all.end(), more.begin(), more.end());
  std::filesystem::remove(checkpoint.out());  // a command replaces no result of another
  return hone_says(all);
}

const Words measure = {"measure", "--windows",      "8", "--curvature-windows", "4",  "--lanczos-steps",
                       "60",      "--trace-probes", "4", "--slq-steps",         "40", "--slq-probes",
                       "4"};
const Words quantize = {"quantize", "--windows", "8", "--curvature-windows", "4",  "--calibration-windows",
                        "4",        "--bits",    "4", "--schemes",           "rtn"};
const Words decode = {"decode", "--windows",      "4", "--length",     "64", "--policies", "token4", "--average-bits",
                      "4",      "--copy-windows", "2", "--copy-block", "4"};

TEST_CASE("lower ends: the commands on a checkpoint work with each option at the lower end of its range") {
  const Checkpoint checkpoint;
  const std::vector<std::pair<Words, std::vector<Words>>> tried = {
      {measure,
       {{"--windows", "2"},
        {"--curvature-windows", "1"},
        {"--context", "1"},
        {"--eigenpairs", "1"},
        {"--eigenpairs-smallest", "0"},
        {"--lanczos-steps", "2"},
        {"--tolerance", "1e-14"},
        {"--block", "1"},
        {"--dense-max", "0"},
        {"--trace-probes", "2"},
        {"--bits", "2"},
        {"--cache-mib", "0"},
        {"--seed", "0"},
        {"--noise", "1e-12"},
        {"--continue", "The", "--continue-tokens", "1"}}},
      {quantize,
       {{"--windows", "2"},
        {"--curvature-windows", "1"},
        {"--calibration-windows", "1"},
        {"--context", "1"},
        {"--bits", "2"},
        {"--activation-bits", "2"},
        {"--activation-clip", "0.001"},
        {"--activation-range", "static", "--activation-percentile", "50.1", "--activation-bits", "8"},
        {"--outlier-threshold", "0"},
        {"--kv-bits", "2"},
        {"--damping", "0", "--schemes", "gptq"},
        {"--smoothing", "0", "--schemes", "smooth+rtn"},
        {"--granularity", "group", "--group", "1"}}},
      {decode,
       {{"--windows", "2"},
        {"--length", "3"},
        {"--prompt", "2"},
        {"--generate", "1"},
        {"--copy-distances", "4"},
        {"--copy-block", "2"},
        {"--copy-windows", "2"},
        {"--temperature", "0.001"},
        {"--stored-bits", "3", "--average-bits", "2"},
        {"--average-bits", "2"}}}};
  for (const auto& [command, options] : tried)
    for (const Words& option : options) {
      CAPTURE(command.front());
      const std::string tried_option = fmt::format("{}", fmt::join(option, " "));
      CAPTURE(tried_option);
      const Said said = looked_at(checkpoint, command, option);
      CHECK_MESSAGE((said.code == 0 || said.code == 4), said.err);
      CHECK_MESSAGE(said.out.find("± inf") == std::string::npos, said.out);
      CHECK_MESSAGE(said.out.find("± nan") == std::string::npos, said.out);
      CHECK_MESSAGE(said.out.find("= nan") == std::string::npos, said.out);
    }
}

TEST_CASE("lower ends: an option outside its range is refused by name") {
  const Checkpoint checkpoint;
  const std::vector<std::pair<Words, std::vector<Words>>> tried = {{measure,
                                                                    {{"--context", "0"},
                                                                     {"--curvature-windows", "0"},
                                                                     {"--tolerance", "0"},
                                                                     {"--tolerance", "0.6"},
                                                                     {"--noise", "0"},
                                                                     {"--memory", "0"},
                                                                     {"--cache-mib", "-1"},
                                                                     {"--cache-mib", "100000000000000"},
                                                                     {"--seed", "-1"}}},
                                                                   {quantize,
                                                                    {{"--curvature-windows", "0"},
                                                                     {"--group", "-1"},
                                                                     {"--outlier-threshold", "-1"},
                                                                     {"--activation-bits", "1"},
                                                                     {"--kv-bits", "1"},
                                                                     {"--damping", "2"}}},
                                                                   {decode,
                                                                    {{"--length", "0"},
                                                                     {"--length", "2"},
                                                                     {"--prompt", "0"},
                                                                     {"--generate", "0"},
                                                                     {"--average-bits", "1.5"},
                                                                     {"--average-bits", "7.5"}}}};
  for (const auto& [command, options] : tried)
    for (const Words& option : options) {
      const Said said = looked_at(checkpoint, command, option);
      CHECK_MESSAGE(said.code != 0, option.front());
      CHECK_MESSAGE(said.err.find(option.front()) != std::string::npos, said.err);
      CHECK(!std::filesystem::exists(checkpoint.out()));
    }
}

TEST_CASE("lower ends: one probe is refused, two are marked and have the t interval of two") {
  const Checkpoint checkpoint;
  const Said one = looked_at(checkpoint, measure, {"--slq-probes", "1"});
  CHECK(one.code != 0);
  CHECK_MESSAGE(one.err.find("--slq-probes") != std::string::npos, one.err);
  const Said two = looked_at(checkpoint, measure, {"--slq-probes", "2"});
  CHECK_MESSAGE(
      two.out.find("over 2 probes; so few probes give no error bar that may be quoted, take --slq-probes 4") !=
          std::string::npos,
      two.out);
  const Dataset& curvature = read_run_file(checkpoint.out()).group("curvature");
  CHECK(curvature.ints("second_trace_probes").front() == 2);
  CHECK(curvature.ints("trace_probes").front() == 4);
  const double se = curvature.doubles("second_trace_se").front();
  CHECK(two.out.find(fmt::format("{:.6g} ± {:.2g}", curvature.doubles("second_trace").front(), 12.7062047364 * se)) !=
        std::string::npos);
}

TEST_CASE("error bar: half of the 95 % t interval, 0 for an exact number, and a remark below four samples") {
  CHECK(std::abs(experiments::error_bar(2, 12) / 2 - 2.20098516) < 1e-8);
  CHECK(std::abs(experiments::error_bar(2, 2) / 2 - 12.7062047) < 1e-7);
  CHECK(experiments::error_bar(0, 1) == 0);
  CHECK(experiments::error_bar_note(4, "draws", "--draws") == "± half of the 95 % t interval over 4 draws\n");
  CHECK(experiments::error_bar_note(3, "draws", "--draws").find("take --draws 4 or more") != std::string::npos);
}

}  // namespace
}  // namespace hone::test

TEST_SUITE_END();
