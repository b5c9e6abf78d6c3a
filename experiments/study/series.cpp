#include "experiments/study/series.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <regex>
#include <set>

#include "experiments/study/build.hpp"
#include "experiments/study/places.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "theory/rows/csv.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

/// An interval in ln(tokens) this many times as long as both of its neighbours is a gap.
constexpr double gap_ratio = 1.75;

std::string field_of(const RunSpec& run) {
  const bool has_table = !run.model.table.empty();
  return fmt::format("models.{}: {} = \"{}\"", run.model.name, has_table ? "table" : "folders",
                     has_table ? run.model.table : run.model.folders);
}

std::string expanded_field(const RunSpec& run) {
  return expand_environment(run.model.table.empty() ? run.model.folders : run.model.table, field_of(run));
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// One part of a path as an expression whose groups are numbers of updates.
std::regex expression_of(std::string part) {
  part = std::regex_replace(part, std::regex(R"([.^$|()\[\]{}+?\\])"), R"(\$&)");
  replace_all(part, "*", "[^/]*");
  replace_all(part, R"(\{step\})", "([0-9]{1,15})");
  return std::regex(part);
}

/// What the rest of a pattern finds below `folder`.
void find_below(const fs::path& folder, fs::path::const_iterator part, fs::path::const_iterator end,
                std::optional<std::int64_t> step, std::vector<SeriesCheckpoint>& found) {
  if (part == end) {
    found.push_back({folder, step.value_or(0), 0, {}});
    return;
  }
  const std::string name = part->string();
  ++part;
  if (name.find_first_of("{*") == name.npos) {
    if (fs::exists(folder / name)) find_below(folder / name, part, end, step, found);
    return;
  }
  const std::regex expression = expression_of(name);
  std::error_code error;
  for (fs::directory_iterator at(folder.empty() ? fs::path(".") : folder, error), last; !error && at != last;
       at.increment(error)) {
    const std::string entry = at->path().filename().string();
    std::smatch match;
    if (!std::regex_match(entry, match, expression)) continue;
    std::optional<std::int64_t> own = step;
    for (size_t group = 1; group < match.size(); ++group) own = std::stoll(match[group].str());
    find_below(folder / entry, part, end, own, found);
  }
}

/// Leaves the steps that the study asks for, all of which must be there.
void choose_steps(const RunSpec& run, std::vector<SeriesCheckpoint>& found) {
  const std::vector<std::int64_t>& wanted = run.model.steps;
  if (wanted.empty()) return;
  std::set<std::int64_t> present;
  for (const SeriesCheckpoint& c : found) present.insert(c.step);
  std::vector<std::int64_t> missing;
  for (const std::int64_t step : wanted)
    if (!present.contains(step)) missing.push_back(step);
  if (!missing.empty())
    throw OptionError(fmt::format("{}: no checkpoint of steps = [{}] there; fetch them, or leave them out of steps",
                                  field_of(run), fmt::join(missing, ", ")));
  std::erase_if(found, [&](const SeriesCheckpoint& c) {
    return std::find(wanted.begin(), wanted.end(), c.step) == wanted.end();
  });
}

std::vector<SeriesCheckpoint> find_folders(const RunSpec& run) {
  std::string pattern = expanded_field(run);
  replace_all(pattern, "{seed}", fmt::format("{}", run.seed));
  while (pattern.size() > 1 && pattern.ends_with('/')) pattern.pop_back();
  const fs::path path = pattern, parts = path.relative_path();
  std::vector<SeriesCheckpoint> found;
  find_below(path.root_path(), parts.begin(), parts.end(), {}, found);
  if (found.empty())
    throw OptionError(
        fmt::format("{}: nothing lies at {}; mend the pattern, or fetch the checkpoints", field_of(run), pattern));
  choose_steps(run, found);
  for (SeriesCheckpoint& c : found) {
    if (c.step < 1)
      throw OptionError(
          fmt::format("{}: {} is before the first update, where growth has no logarithm; name the others "
                      "with steps = [...]",
                      field_of(run), c.place.string()));
    c.tokens = c.step * (run.model.tokens_per_step > 0 ? run.model.tokens_per_step : tokens_per_step(run));
  }
  return found;
}

/// A whole number of at least 1 in a table.
std::int64_t count_in(const theory::Csv& csv, size_t row, const char* column) {
  const double value = csv.number(row, csv.column(column));
  if (!(value >= 1) || value != std::floor(value) || value > 1e15)
    throw FormatError(fmt::format("{}: {} = \"{}\" of {} is not a whole number of at least 1; mend the table",
                                  csv.source(), column, csv.text(row, csv.column(column)),
                                  csv.text(row, csv.column("folder"))));
  return std::int64_t(value);
}

std::vector<SeriesCheckpoint> read_table(const RunSpec& run) {
  const fs::path path = expanded_field(run);
  const theory::Csv csv = theory::read_csv(path);
  const double per_step = double(run.model.tokens_per_step > 0 ? run.model.tokens_per_step : tokens_per_step(run));
  std::vector<SeriesCheckpoint> found;
  for (size_t row = 0; row < csv.rows(); ++row) {
    if (csv.has("model") && csv.text(row, csv.column("model")) != run.model.name) continue;
    if (csv.has("seed") && csv.integer(row, csv.column("seed")) != run.seed) continue;
    const std::string folder = csv.text(row, csv.column("folder"));
    if (folder.empty())
      throw FormatError(fmt::format("{}: a cell of the column folder is empty; mend the table", csv.source()));
    SeriesCheckpoint c;
    c.place = path.parent_path() / expand_environment(folder, csv.source() + ": folder = \"" + folder + "\"");
    if (!fs::exists(c.place))
      throw OptionError(fmt::format("{}: folder = \"{}\": nothing lies at {}; fetch it, or take its line out",
                                    csv.source(), folder, c.place.string()));
    c.tokens = count_in(csv, row, "tokens");
    c.step = csv.has("step") ? count_in(csv, row, "step")
                             : std::max<std::int64_t>(1, std::llround(double(c.tokens) / per_step));
    if (csv.has("rate")) c.lr = csv.number(row, csv.column("rate"));
    if (c.lr && !(*c.lr >= 0))
      throw FormatError(fmt::format("{}: rate = \"{}\" of {} is not a learning rate of 0 or above; mend the table",
                                    csv.source(), csv.text(row, csv.column("rate")), folder));
    found.push_back(std::move(c));
  }
  if (found.empty())
    throw OptionError(
        fmt::format("{}: holds no line of model \"{}\" and seed {}; give the seeds of the table in seeds = "
                    "[...], and the names in its column model",
                    field_of(run), run.model.name, run.seed));
  return found;
}

/// Strictly ascending, as the order of a training is.
void expect_ascending(const RunSpec& run, const std::vector<SeriesCheckpoint>& all) {
  for (size_t i = 1; i < all.size(); ++i) {
    const SeriesCheckpoint &a = all[i - 1], &b = all[i];
    if (a.tokens == b.tokens)
      throw OptionError(fmt::format("{}: {} and {} both have tokens = {}; keep one of them", field_of(run),
                                    a.place.string(), b.place.string(), a.tokens));
    if (a.step >= b.step)
      throw OptionError(
          fmt::format("{}: {} has step {} at {} tokens, {} has step {} at {}; give tokens_per_step, or a "
                      "column step that grows with the tokens",
                      field_of(run), a.place.string(), a.step, a.tokens, b.place.string(), b.step, b.tokens));
  }
}

/// A checkpoint that was left out by accident would bend every law of growth.
void expect_no_gap(const RunSpec& run, const std::vector<SeriesCheckpoint>& all) {
  const auto interval = [&](size_t i) { return std::log(double(all[i + 1].tokens) / double(all[i].tokens)); };
  for (size_t i = 0; i + 1 < all.size() && all.size() > 2; ++i) {
    const double before = i > 0 ? interval(i - 1) : 0, after = i + 2 < all.size() ? interval(i + 1) : 0;
    if (interval(i) > gap_ratio * std::max(before, after))
      throw OptionError(
          fmt::format("{}: a gap between steps {} and {}, as the others lie closer; fetch what is missing, "
                      "or name the checkpoints with steps = [...]",
                      field_of(run), all[i].step, all[i + 1].step));
  }
}

/// The first field in which two architectures differ, with both values.
std::string difference(const TransformerOptions& a, const TransformerOptions& b) {
  const std::pair<const char*, Index TransformerOptions::*> sizes[] = {
      {"vocab_size", &TransformerOptions::vocabulary},
      {"num_hidden_layers", &TransformerOptions::layers},
      {"hidden_size", &TransformerOptions::width},
      {"num_attention_heads", &TransformerOptions::heads},
      {"num_key_value_heads", &TransformerOptions::kv_heads},
      {"intermediate_size", &TransformerOptions::mlp_width}};
  for (const auto& [name, size] : sizes)
    if (a.*size != b.*size) return fmt::format("{} = {}, not {}", name, b.*size, a.*size);
  if (a.head != b.head) return "another kind of head (tied or untied)";
  return "another architecture, such as another norm or other rotary positions";
}

fs::path tokenizer_in(const fs::path& place) {
  const fs::path folder = fs::is_directory(place) ? place : place.parent_path();
  for (const char* name : {"tokenizer.json", "tokenizer.bin", "tok512.bin"})
    if (fs::exists(folder / name)) return folder / name;
  return {};
}

/// Architecture and tokenizer of all checkpoints, which are those of the first.
void read_heads(const RunSpec& run, Series& series) {
  std::string digest;
  for (const SeriesCheckpoint& c : series.checkpoints) {
    const CheckpointHead head = inspect_checkpoint(c.place, {Index(run.model.context)});
    const bool is_first = &c == &series.checkpoints.front();
    if (is_first) series.options = head.options, series.format = head.format;
    if (head.options != series.options || head.format != series.format)
      throw OptionError(
          fmt::format("{}: {} is of {} than {}; a series has one architecture, give each size a [[models]] "
                      "of its own",
                      field_of(run), c.place.string(),
                      head.format != series.format ? "another family, " + head.format + ","
                                                   : "another shape, " + difference(series.options, head.options) + ",",
                      series.checkpoints.front().place.string()));
    const fs::path tokenizer = tokenizer_in(c.place);
    if (tokenizer.empty()) continue;
    const std::string own = sha256_of_file(tokenizer);
    if (series.tokenizer.empty()) series.tokenizer = tokenizer, digest = own;
    if (own != digest)
      throw OptionError(
          fmt::format("{}: {} differs from {}, and losses of other tokens cannot be compared; fetch the "
                      "tokenizer of the series again",
                      field_of(run), tokenizer.string(), series.tokenizer.string()));
  }
}

std::unique_ptr<const Series> read_series(const RunSpec& run) {
  auto series = std::make_unique<Series>();
  series->checkpoints = run.model.table.empty() ? find_folders(run) : read_table(run);
  std::sort(series->checkpoints.begin(), series->checkpoints.end(),
            [](const SeriesCheckpoint& a, const SeriesCheckpoint& b) { return a.tokens < b.tokens; });
  expect_ascending(run, series->checkpoints);
  if (run.model.table.empty() && run.model.steps.empty()) expect_no_gap(run, series->checkpoints);
  read_heads(run, *series);
  return series;
}

}  // namespace

bool is_series(const ModelSpec& model) { return model.kind == "series"; }

const Series& series_of(const RunSpec& run) {
  EXPECTS(is_series(run.model), "model {} of kind {} is no series", run.model.name, run.model.kind);
  static std::mutex one_at_a_time;
  static std::map<std::string, std::unique_ptr<const Series>> known;
  const std::string key =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", run.model.name, expanded_field(run), run.seed, run.model.context,
                  run.model.tokens_per_step, run.train.batch, fmt::join(run.model.steps, " "));
  const std::lock_guard lock(one_at_a_time);
  if (const auto found = known.find(key); found != known.end()) return *found->second;
  return *(known[key] = read_series(run));
}

ImportedModel load_checkpoint(const RunSpec& run, size_t number) {
  const Series& series = series_of(run);
  const fs::path& place = series.checkpoints.at(number).place;
  ImportedModel model = import_checkpoint(place, {Index(run.model.context)});
  if (model.options != series.options)
    throw FormatError(fmt::format("{}: has changed since the run began; restore it", place.string()));
  return model;
}

std::string series_sha256(const RunSpec& run) {
  std::string lines;
  for (const SeriesCheckpoint& c : series_of(run).checkpoints)
    lines += fmt::format("{} {} {}\n", c.step, c.tokens, checkpoint_sha256(c.place));
  return sha256(lines);
}

std::map<std::string, Attribute> recorded_options(const RunSpec& run) {
  std::map<std::string, Attribute> options = run.options();
  if (!is_series(run.model)) return options;
  const Series& series = series_of(run);
  const TransformerOptions& o = series.options;
  const std::int64_t per_step =
      std::llround(double(series.checkpoints.back().tokens) / double(series.checkpoints.back().step));
  options["model.kind"] = std::string(series.format == "llama2.c" ? "llama" : series.format);
  options["model.layers"] = std::int64_t(o.layers), options["model.width"] = std::int64_t(o.width);
  options["model.heads"] = std::int64_t(o.heads), options["model.kv_heads"] = std::int64_t(o.kv_heads);
  options["model.mlp_width"] = std::int64_t(o.mlp_width);
  options["model.head"] = std::string(o.head == Head::tied ? "tied" : "untied");
  options["model.rope"] = std::string(o.position == Positions::rope_interleaved ? "interleaved" : "half");
  options["model.checkpoints"] = std::int64_t(series.checkpoints.size());
  options["model.first_tokens"] = series.checkpoints.front().tokens;
  options["model.tokens"] = series.checkpoints.back().tokens;
  options["model.tokens_per_step"] = per_step;
  options["train.batch"] = std::max<std::int64_t>(1, per_step / run.model.context);
  return options;
}

}  // namespace hone::experiments
