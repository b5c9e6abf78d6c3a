#include "experiments/study/reader.hpp"

#include <toml++/toml.h>

#include <cmath>
#include <set>
#include <sstream>

#include "experiments/study/validate.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "theory/questions/thresholds.hpp"

namespace hone::experiments {
namespace {

// Each table is read by the `fields` visitor of its part; what the visitor does not know is an error.

constexpr Range seed_range{0, 1e15};
/// Far above every study that can be run; a slip in a grid must not fill the memory.
constexpr std::size_t most_models = 1000;

/// One combination of a grid: values in place of fields, by "key" or "section.key".
using Overlay = std::map<std::string, const toml::node*>;

/// Reads one table field by field, collecting complaints. An overlay's values stand in place of the table's own.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string where, std::vector<std::string>& complaints,
              const Overlay& overlay = {}, std::vector<std::string> known = {})
      : table_(table),
        where_(std::move(where)),
        complaints_(complaints),
        overlay_(overlay),
        elsewhere_(std::move(known)) {}

  template <class T>
  void operator()(const char* key, T& value, Range range = {}) {
    known_.push_back(key);
    const auto over = overlay_.find(key);
    if (const toml::node* node = over != overlay_.end() ? over->second : table_.get(key))
      read(*node, key, value, range);
  }

  /// Complains about every key that no field asked for.
  void finish() {
    known_.insert(known_.end(), elsewhere_.begin(), elsewhere_.end());
    for (const auto& [key, node] : table_) {
      const std::string name(key.str());
      if (std::find(known_.begin(), known_.end(), name) == known_.end())
        complain(node, name, fmt::format("is unknown; did you mean \"{}\"?", nearest_name(name, known_)));
    }
    for (const auto& [name, node] : overlay_)
      if (std::find(known_.begin(), known_.end(), name) == known_.end())
        complain(*node, "grid." + name, fmt::format("is unknown; did you mean \"{}\"?", nearest_name(name, known_)));
  }

 private:
  /// " = 3.5", or the type of what has no short text.
  static std::string value_text(const toml::node& node) {
    if (const auto text = node.value_exact<std::string>()) return fmt::format("= \"{}\"", *text);
    if (const auto flag = node.value_exact<bool>()) return fmt::format("= {}", *flag);
    if (const auto number = node.value<double>()) return fmt::format("= {}", *number);
    return node.is_table() ? "holds a table and" : node.is_array() ? "holds a list and" : "holds a date and";
  }
  void complain(const toml::node& node, const std::string& key, const std::string& what) {
    complaints_.push_back(fmt::format("line {}: {}.{} {}", node.source().begin.line, where_, key, what));
  }

  void read(const toml::node& node, const std::string& key, std::string& value, Range) {
    if (const auto text = node.value_exact<std::string>())
      value = *text;
    else
      complain(node, key, value_text(node) + " is not text; write it in quotes");
  }
  void read(const toml::node& node, const std::string& key, std::int64_t& value, Range range) {
    const auto number = node.value_exact<std::int64_t>();
    if (!number) return complain(node, key, value_text(node) + " is not a whole number; write digits alone");
    if (double(*number) < range.low || double(*number) > range.high)
      return complain(node, key, fmt::format("= {} (expected {} to {})", *number, range.low, range.high));
    value = *number;
  }
  void read(const toml::node& node, const std::string& key, double& value, Range range) {
    const auto number = node.value<double>();
    if (!number || node.is_boolean())
      return complain(node, key, value_text(node) + " is not a number; write digits without quotes");
    if (!std::isfinite(*number) || *number < range.low || *number > range.high)
      return complain(node, key, fmt::format("= {} (expected {} to {})", *number, range.low, range.high));
    value = *number;
  }
  template <class T>
  void read(const toml::node& node, const std::string& key, std::vector<T>& values, Range range) {
    const toml::array* array = node.as_array();
    if (!array) return complain(node, key, value_text(node) + " is not a list; write it in [ ]");
    values.clear();
    for (const toml::node& element : *array) {
      T value{};
      read(element, fmt::format("{}[{}]", key, values.size()), value, range);
      values.push_back(value);
    }
  }

  const toml::table& table_;
  std::string where_;
  std::vector<std::string>& complaints_;
  Overlay overlay_;
  std::vector<std::string> known_, elsewhere_;  ///< keys that are fields, and those that others read
};

template <class Part>
void read_part(const toml::table& table, const std::string& where, Part& part, std::vector<std::string>& complaints,
               const Overlay& overlay = {}, std::vector<std::string> known = {}) {
  TableReader reader(table, where, complaints, overlay, std::move(known));
  part.fields(reader);
  reader.finish();
}

/// The optional table `name` of the file or, with an overlay of its fields, of a model.
template <class Part>
void read_section(const toml::table& owner, const char* name, Part& part, std::vector<std::string>& complaints,
                  const Overlay& overlay = {}) {
  static const toml::table none;
  const toml::node* node = owner.get(name);
  const toml::table* table = node ? node->as_table() : &none;
  if (table) return read_part(*table, name, part, complaints, overlay);
  complaints.push_back(fmt::format("line {}: {} is not a table; write [{}]", node->source().begin.line, name, name));
}

/// The required list of tables [[name]].
template <class Part>
void read_list(const toml::table& file, const char* name, std::vector<Part>& parts,
               std::vector<std::string>& complaints) {
  const toml::node* node = file.get(name);
  const toml::array* list = node ? node->as_array() : nullptr;
  if (!list || list->empty()) {
    complaints.push_back(fmt::format("{} is missing; write at least one [[{}]]", name, name));
    return;
  }
  for (const toml::node& element : *list) {
    const std::string where = fmt::format("{}[{}]", name, parts.size());
    parts.emplace_back().line = element.source().begin.line;
    if (const toml::table* table = element.as_table())
      read_part(*table, where, parts.back(), complaints);
    else
      complaints.push_back(fmt::format("line {}: {} is not a table", element.source().begin.line, where));
  }
}

/// The sections that a model may change for itself.
struct Sections {
  TrainSpec& train;
  MeasureSpec& measure;
  QuantizeSpec& quantize;
  NoiseSpec& noise;
  DecodeSpec& decode;
};
Sections sections_of(ModelPlan& plan) { return {plan.train, plan.measure, plan.quantize, plan.noise, plan.decode}; }

/// The part of an overlay that bears on one section: "section.key" becomes "key".
Overlay overlay_of(const Overlay& all, const std::string& section) {
  Overlay part;
  for (const auto& [name, node] : all)
    if (name.starts_with(section + ".")) part[name.substr(section.size() + 1)] = node;
  return part;
}

void read_sections(const toml::table& owner, Sections sections, std::vector<std::string>& complaints,
                   const Overlay& overlay = {}) {
  const auto read = [&](const char* name, auto& part) {
    read_section(owner, name, part, complaints, overlay_of(overlay, name));
  };
  read("train", sections.train), read("measure", sections.measure), read("quantize", sections.quantize);
  read("noise", sections.noise), read("decode", sections.decode);
}

const std::vector<std::string> section_names = {"train", "measure", "quantize", "noise", "decode"};

/// Lists of values by "key" or "section.key", in name order.
std::map<std::string, const toml::array*> grid_lists(const toml::table& grid, const std::string& where,
                                                     const std::string& prefix, std::vector<std::string>& complaints) {
  std::map<std::string, const toml::array*> lists;
  for (const auto& [key, node] : grid) {
    const std::string name = prefix + std::string(key.str());
    if (const toml::array* list = node.as_array(); list && !list->empty())
      lists[name] = list;
    else if (const toml::table* table = node.as_table(); table && prefix.empty())
      lists.merge(grid_lists(*table, where, name + ".", complaints));
    else
      complaints.push_back(fmt::format("line {}: {}.grid.{} is not a list of values; write it in [ ]",
                                       node.source().begin.line, where, name));
  }
  return lists;
}

/// Number of combinations, at most `limit` + 1.
std::size_t combination_count(const std::map<std::string, const toml::array*>& lists, std::size_t limit) {
  std::size_t count = 1;
  for (const auto& [name, list] : lists) count = std::min(count * list->size(), limit + 1);
  return count;
}

/// Every combination of the lists, the last name changing quickest.
std::vector<Overlay> combinations(const std::map<std::string, const toml::array*>& lists) {
  std::vector<Overlay> all = {{}};
  for (const auto& [name, list] : lists) {
    std::vector<Overlay> longer;
    for (const Overlay& one : all)
      for (const toml::node& value : *list) {
        longer.push_back(one);
        longer.back()[name] = &value;
      }
    all = std::move(longer);
  }
  return all;
}

/// "-lr0.003-batch8": what sets one model of a grid apart from the others.
std::string suffix_of(const Overlay& overlay) {
  std::string suffix;
  for (const auto& [name, node] : overlay) {
    suffix += "-" + name.substr(name.find('.') + 1);
    if (const auto text = node->value_exact<std::string>())
      suffix += *text;
    else if (const auto whole = node->value_exact<std::int64_t>())
      suffix += fmt::format("{}", *whole);
    else if (const auto number = node->value<double>())
      suffix += fmt::format("{}", *number);
  }
  return suffix;
}

/// One [[models]] table: a model, or as many as its grid has combinations.
void read_model(const toml::table& table, const ModelPlan& common, std::vector<ModelPlan>& models,
                std::vector<std::string>& complaints) {
  const std::string where = fmt::format("models[{}]", models.size());
  std::map<std::string, const toml::array*> lists;
  if (const toml::node* grid = table.get("grid")) {
    if (grid->as_table())
      lists = grid_lists(*grid->as_table(), where, "", complaints);
    else
      complaints.push_back(
          fmt::format("line {}: {}.grid is not a table; write [models.grid]", grid->source().begin.line, where));
  }
  if (models.size() + combination_count(lists, most_models) > most_models) {
    complaints.push_back(fmt::format("line {}: models[{}] brings the study above {} models; shorten its grid",
                                     table.source().begin.line, models.size(), most_models));
    return;
  }
  std::vector<std::string> read_elsewhere = section_names;
  read_elsewhere.insert(read_elsewhere.end(), {"grid", "branches", "seeds"});
  for (const Overlay& overlay : combinations(lists)) {
    ModelPlan plan = common;
    Overlay own;
    for (const auto& [name, node] : overlay)
      if (std::find(section_names.begin(), section_names.end(), name.substr(0, name.find('.'))) == section_names.end())
        own[name] = node;
    read_part(table, where, plan.model, complaints, own, read_elsewhere);
    plan.model.line = table.source().begin.line;
    plan.model.name += suffix_of(overlay);
    read_sections(table, sections_of(plan), complaints, overlay);
    if (table.get("branches")) read_list(table, "branches", plan.branches, complaints);
    TableReader(table, where, complaints)("seeds", plan.seeds, seed_range);
    models.push_back(std::move(plan));
  }
}

void read_models(const toml::table& file, const ModelPlan& common, Study& study, std::vector<std::string>& complaints) {
  const toml::node* node = file.get("models");
  const toml::array* list = node ? node->as_array() : nullptr;
  if (!list || list->empty()) {
    complaints.push_back("models is missing; write at least one [[models]]");
    return;
  }
  for (const toml::node& element : *list)
    if (const toml::table* table = element.as_table())
      read_model(*table, common, study.models, complaints);
    else
      complaints.push_back(
          fmt::format("line {}: models[{}] is not a table", element.source().begin.line, study.models.size()));
}

/// [thresholds] by the visitor of theory.
struct ThresholdPart {
  theory::Thresholds& thresholds;
  template <class V>
  void fields(V& v) {
    thresholds.fields([&](const char* name, double& value, theory::Bounds bounds, const char*) {
      v(name, value, Range{bounds.low, bounds.high});
    });
  }
};

struct HeadPart {
  Study& study;
  template <class V>
  void fields(V& v) {
    v("name", study.name), v("title", study.title), v("seeds", study.seeds, seed_range),
        v("questions", study.questions);
  }
};

}  // namespace

Study read_study(const std::filesystem::path& path, const std::string& unnamed) {
  Study study;
  study.text = read_text(path);
  toml::table file;
  try {
    file = toml::parse(study.text, path.string());
  } catch (const toml::parse_error& error) {
    throw OptionError(
        fmt::format("{}: line {}: {}; mend the TOML", path.string(), error.source().begin.line, error.description()));
  }
  std::vector<std::string> complaints;
  HeadPart head{study};
  read_section(file, "study", head, complaints);
  read_list(file, "data", study.data, complaints);
  ModelPlan common;
  read_sections(file, sections_of(common), complaints);
  read_models(file, common, study, complaints);
  ThresholdPart thresholds{study.thresholds};
  read_section(file, "thresholds", thresholds, complaints);
  const std::vector<std::string> sections = {"study",    "data",  "models", "train",     "measure",
                                             "quantize", "noise", "decode", "thresholds"};
  for (const auto& [key, node] : file)
    if (std::find(sections.begin(), sections.end(), std::string(key.str())) == sections.end())
      complaints.push_back(fmt::format("line {}: section {} is unknown; did you mean \"{}\"?", node.source().begin.line,
                                       key.str(), nearest_name(std::string(key.str()), sections)));
  const auto own_name = [&] { return (path.extension() == ".toml" ? path.stem() : path.filename()).string(); };
  if (study.name.empty()) study.name = unnamed.empty() ? own_name() : unnamed;
  if (!complaints.empty()) {
    std::vector<std::string> once;  // a grid reads its table as often as it has combinations
    std::set<std::string> known;
    for (const std::string& each : complaints)
      if (known.insert(each).second) once.push_back(each);
    throw OptionError(fmt::format("{}: {}", path.string(), fmt::join(once, "; ")));
  }
  try {
    validate(study);
  } catch (const OptionError& error) {
    throw OptionError(fmt::format("{}: {}", path.string(), error.what()));
  }
  return study;
}

}  // namespace hone::experiments
