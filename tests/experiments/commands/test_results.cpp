// Commands on one checkpoint: where their results go, and that every refusal names options that they have.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "experiments/commands/option_words.hpp"
#include "experiments/commands/result_file.hpp"
#include "tests/experiments/checkpoint.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/messages.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

using experiments::checkpoint_name;
using Words = std::vector<std::string>;

/// A folder to run in, with checkpoints of the names that public ones have.
class Desk {
 public:
  Desk() : before_(fs::current_path()) {
    fs::current_path(folder_.path());
    fs::copy_file(checkpoint_.file("text.txt"), "text.txt");
    folder_.write("short.txt", "too short");
  }
  ~Desk() { fs::current_path(before_); }

  /// A checkpoint of its own: no two have the same configuration.
  void add(const std::string& name) {
    fs::create_directories(name);
    for (const char* file : {"model.safetensors", "tokenizer.json"})
      fs::copy_file(checkpoint_.file(file), fs::path(name) / file);
    write_text_atomically(fs::path(name) / "config.json", replaced(read_text(checkpoint_.file("config.json")),
                                                                   "10000.0", fmt::format("{}.0", 10000 + ++number_)));
  }

  /// The command in the fewest steps that measure something.
  Said says(const std::string& command, const std::string& checkpoint, const Words& more = {},
            const char* text = "text.txt") const {
    Words words = {command, checkpoint, "--text", text, "--threads", "1"};
    const auto add = [&](const Words& some) {
      for (size_t i = 0; i < some.size(); i += 2)
        if (std::find(more.begin(), more.end(), some[i]) == more.end())
          words.insert(words.end(), {some[i], some[i + 1]});
    };
    if (command == "measure")
      add({"--windows", "4", "--curvature-windows", "2", "--lanczos-steps", "20", "--bits", "4"});
    if (command == "quantize")
      add({"--windows", "4", "--curvature-windows", "2", "--calibration-windows", "4", "--schemes", "rtn", "--bits",
           "4"});
    if (command == "decode") add({"--windows", "2", "--length", "48", "--policies", "token4", "--average-bits", "4"});
    words.insert(words.end(), more.begin(), more.end());
    return hone_says(words);
  }

  fs::path path(const char* name) const { return folder_.path() / name; }

 private:
  fs::path before_;
  TemporaryFolder folder_;
  Checkpoint checkpoint_;
  int number_ = 0;
};

const char* const commands[] = {"measure", "quantize", "decode"};

TEST_CASE("results: a checkpoint's results bear its whole name") {
  CHECK(checkpoint_name("A-1.5B") == "A-1.5B");
  CHECK(checkpoint_name("models/A-1.7B/") == "A-1.7B");
  CHECK(checkpoint_name("models/A-1.7B//") == "A-1.7B");
  CHECK(checkpoint_name("stories260K.bin") == "stories260K");
  CHECK(checkpoint_name("model.v1") == "model.v1");
  CHECK(checkpoint_name(".bin") == ".bin");
  CHECK(checkpoint_name("/") != "");
  const TemporaryFolder folder;
  const std::string name = folder.path().filename().string();
  CHECK(checkpoint_name(folder.path() / ".") == name);
  CHECK(checkpoint_name(folder.path() / "./") == name);
  fs::create_directories(folder.path() / "inner");
  CHECK(checkpoint_name(folder.path() / "inner" / "..") == name);
}

TEST_CASE("results: checkpoints whose names differ after a dot, or that end in a slash, have a file each") {
  Desk desk;
  desk.add("A-1.5B");
  desk.add("A-1.7B");
  for (const char* command : commands) {
    const fs::path folder = fs::path("outputs") / command;
    REQUIRE_MESSAGE(desk.says(command, "A-1.5B").code == 0, command);
    REQUIRE_MESSAGE(desk.says(command, "A-1.7B/").code == 0, command);
    std::set<std::string> files;
    for (const auto& entry : fs::directory_iterator(folder)) files.insert(entry.path().filename().string());
    CHECK(files == std::set<std::string>{"A-1.5B.h5", "A-1.7B.h5"});
    const auto title = read_run_file(folder / "A-1.7B.h5").attributes.at("title");
    CHECK(std::get<std::string>(title) == fmt::format("hone {} A-1.7B", command));
  }
}

TEST_CASE("results: what another checkpoint or command wrote is never replaced, one's own is") {
  Desk desk;
  desk.add("first/model");
  desk.add("second/model");
  for (const char* command : commands) {
    REQUIRE(desk.says(command, "first/model").code == 0);
    const fs::path file = fs::path("outputs") / command / "model.h5";
    const std::string before = read_text(file);
    const auto refused = [&](const Said& said, const std::string& part) {
      CHECK(said.code == 2);
      CHECK_MESSAGE(mentions(said.err, file.string() + ": " + part), said.err);
      CHECK_MESSAGE(mentions(said.err, "name another file with --out"), said.err);
      CHECK(read_text(file) == before);
    };
    refused(desk.says(command, "second/model"), "holds the result of another checkpoint, first/model");
    const char* other = command == std::string("decode") ? "quantize" : "decode";
    refused(desk.says(other, "first/model", {"--out", file.string()}),
            fmt::format("holds \"hone {} model\", not a result of hone {}", command, other));
    CHECK(desk.says(command, "first/model/").code == 0);
    CHECK(desk.says(command, "second/model", {"--out", fmt::format("{}.h5", command)}).code == 0);
  }
  const std::string weights = read_text("first/model/model.safetensors");
  const Said said = desk.says("quantize", "first/model", {"--out", "first/model/model.safetensors"});
  CHECK(said.code == 2);
  CHECK_MESSAGE(mentions(said.err, "model.safetensors: is there and is no whole run file of hone"), said.err);
  CHECK(read_text("first/model/model.safetensors") == weights);
  const Said predicted = hone_says({"predict", "outputs/measure/model.h5", "--out", "outputs/measure/model.h5"});
  CHECK(predicted.code == 2);
  CHECK_MESSAGE(mentions(predicted.err, "--out outputs/measure/model.h5: is one of the sources"), predicted.err);
}

TEST_CASE("results: a file that another checkpoint's command wrote meanwhile is not replaced") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "model.h5";
  const auto result_of = [](const std::string& sha256) {
    RunFile file;
    file.groups["manifest"].set_attribute("input_sha256.checkpoint", sha256);
    file.groups["manifest"].set_attribute("checkpoint", sha256 + "/model");
    return file;
  };
  const experiments::ResultFile slow("decode", "first/model", "first", path),
      quick("decode", "second/model", "second", path);
  quick.write(result_of("second"));
  const std::string before = read_text(path);
  const std::string said = message_of<OptionError>([&] { slow.write(result_of("first")); });
  CHECK_MESSAGE(mentions(said, "holds the result of another checkpoint, second/model"), said);
  CHECK(read_text(path) == before);
  quick.write(result_of("second"));
}

/// Names of the study layer that no command on a checkpoint has as an option.
std::set<std::string> study_words() {
  std::set<std::string> words = {"validation_fraction", "models.", "data."};
  for (const auto& [name, value] : experiments::RunSpec{}.options()) {
    words.insert(name);
    const std::string last = name.substr(name.rfind('.') + 1);
    if (last.find('_') != last.npos) words.insert(last);
  }
  return words;
}

TEST_CASE("results: every refusal names options of the command that was run") {
  Desk desk;
  desk.add("model");
  const std::set<std::string> foreign = study_words();
  const auto refused = [&](const Said& said, const Words& parts) {
    CAPTURE(said.err);
    CHECK(said.code == 2);
    CHECK(count_lines(said.err) == 1);
    for (const std::string& part : parts) CHECK_MESSAGE(mentions(said.err, part), part);
    for (const std::string& word : foreign) CHECK_MESSAGE(!mentions(said.err, word), word);
  };
  for (const char* command : commands) {
    const std::string length = command == std::string("decode") ? "--length" : "--context";
    refused(desk.says(command, "model", {}, "short.txt"), {"short.txt", "--text", "--windows", length});
    refused(desk.says(command, "model", {"--windows", "100000"}),
            {"text.txt", "--text", "--windows", length, " or fewer"});
    refused(desk.says(command, "model", {"--context", "64"}), {"--context 64", "a context of 32"});
  }
  refused(desk.says("quantize", "model", {"--calibration-windows", "100000"}), {"--text", "--calibration-windows"});
  refused(desk.says("quantize", "model", {"--calibration", "short.txt"}),
          {"short.txt", "--calibration", "--calibration-windows", "--context"});
  for (const char* command : {"measure", "quantize"}) {
    refused(desk.says(command, "model", {"--grid", "restrictd"}), {"--grid = 'restrictd'", "'restricted'"});
    refused(desk.says(command, "model", {"--granularity", "rows"}), {"--granularity = 'rows'", "'row'"});
    refused(desk.says(command, "model", {"--granularity", "group"}), {"--group = 0"});
    refused(desk.says(command, "model", {"--group", "8"}), {"--group = 8", "set --granularity = 'group'"});
    refused(desk.says(command, "model", {"--bits", "1"}), {"--bits = 1"});
  }
  refused(desk.says("measure", "model", {"--memory", "0.0001"}), {"--memory", "--cache-mib"});
  refused(desk.says("measure", "model", {"--continue", std::string(40, 'a')}), {"--continue", "--context"});
  refused(desk.says("quantize", "model", {"--schemes", "gtpq"}), {"--schemes: \"gtpq\" is unknown", "\"gptq\""});
  refused(desk.says("quantize", "model", {"--schemes", "gptq", "--bits", "16"}),
          {"--bits = 16 with the scheme \"gptq\""});
  refused(desk.says("quantize", "model", {"--schemes", "lnq", "--bits", "8"}), {"--bits = [8]"});
  refused(desk.says("quantize", "model", {"--schemes", "guided", "--granularity", "tensor"}),
          {"--granularity = tensor"});
  refused(desk.says("quantize", "model", {"--activation-bits", "8", "--activation-grid", "x"}),
          {"--activation-grid = 'x'"});
  refused(desk.says("quantize", "model", {"--kv-bits", "8", "--kv-grid", "x"}), {"--kv-grid = 'x'"});
  refused(desk.says("quantize", "model",
                    {"--activation-bits", "8", "--activation-granularity", "tensor", "--outlier-threshold", "6"}),
          {"--outlier-threshold = 6", "granularity 'tensor'"});
  refused(desk.says("decode", "model", {"--policies", "tokn4"}), {"--policies: policy \"tokn4\" is unknown"});
  refused(desk.says("decode", "model", {"--policies", "kivi2-group8-residual5"}), {"--policies: policy"});
  refused(desk.says("decode", "model", {"--prompt", "300"}), {"--prompt = 300", "--length = 48"});
  refused(desk.says("decode", "model", {"--copy-distances", "2"}), {"--copy-distances: 2", "--copy-block = "});
  refused(desk.says("decode", "model", {"--stored-bits", "3", "--average-bits", "6"}),
          {"--average-bits: 6", "--stored-bits = "});
}

TEST_CASE("option words: fields become options, paths and plain English stay") {
  constexpr experiments::OptionWord words[] = {
      {"grid", "--grid"}, {"length", "--length"}, {"copy_block", "--copy-block"}, {"key.grid", "--kv-grid"}};
  const auto told = [&](const char* message) { return experiments::in_option_words(message, words); };
  CHECK(told("grid = 'x' is not known") == "--grid = 'x' is not known");
  CHECK(told("the length of a grid") == "the length of a grid");
  CHECK(told("weights.grid = 'x'; key.grid = 'y'") == "--grid = 'x'; --kv-grid = 'y'");
  CHECK(told("(copy_block: 2)") == "(--copy-block: 2)");
  CHECK(told("set it beside copy_block.") == "set it beside --copy-block.");
  CHECK(told("/tmp/copy_block/grid = 3") == "/tmp/copy_block/grid = 3");
  CHECK(told("--length = 3") == "--length = 3");
  CHECK(told("data/text.txt: 3 tokens") == "data/text.txt: 3 tokens");
  CHECK(told("").empty());
}

}  // namespace
}  // namespace hone::test

TEST_SUITE_END();
