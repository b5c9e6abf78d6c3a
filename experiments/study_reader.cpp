// TOML -> Study: each table is read by the `fields` visitor of its part; what the visitor does not know is an error.
#include <toml++/toml.h>

#include <cmath>
#include <sstream>

#include "experiments/study.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "theory/verdict.hpp"

namespace hone::experiments {
namespace {

/// Reads one table field by field, collecting complaints.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string where, std::vector<std::string>& complaints)
      : table_(table), where_(std::move(where)), complaints_(complaints) {}

  template <class T>
  void operator()(const char* key, T& value, Range range = {}) {
    known_.push_back(key);
    if (const toml::node* node = table_.get(key)) read(*node, key, value, range);
  }

  /// Complains about every key that no field asked for.
  void finish() {
    for (const auto& [key, node] : table_) {
      const std::string name(key.str());
      if (std::find(known_.begin(), known_.end(), name) == known_.end())
        complain(node, name, fmt::format("is unknown; did you mean \"{}\"?", nearest_name(name, known_)));
    }
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
  std::vector<std::string> known_;
};

template <class Part>
void read_part(const toml::table& table, const std::string& where, Part& part, std::vector<std::string>& complaints) {
  TableReader reader(table, where, complaints);
  part.fields(reader);
  reader.finish();
}

/// The optional table `name` of the file.
template <class Part>
void read_section(const toml::table& file, const char* name, Part& part, std::vector<std::string>& complaints) {
  const toml::node* node = file.get(name);
  if (!node) return;
  if (const toml::table* table = node->as_table()) return read_part(*table, name, part, complaints);
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

struct HeadPart {
  Study& study;
  template <class V>
  void fields(V& v) {
    v("name", study.name), v("title", study.title), v("seeds", study.seeds, Range{0, 1e15});
  }
};

void read_thresholds(const toml::table& file, Study& study, std::vector<std::string>& complaints) {
  const toml::node* node = file.get("thresholds");
  if (!node) return;
  if (!node->as_table()) {
    complaints.push_back(
        fmt::format("line {}: thresholds is not a table; write [thresholds]", node->source().begin.line));
    return;
  }
  for (const auto& [key, value] : *node->as_table()) {
    const auto number = value.value<double>();
    if (!number) {
      complaints.push_back(fmt::format("line {}: thresholds.{} is not a number; write digits without quotes",
                                       value.source().begin.line, key.str()));
      continue;
    }
    study.thresholds[std::string(key.str())] = *number;
    try {
      (void)theory::with_values(theory::default_thresholds(), {{std::string(key.str()), *number}});
    } catch (const OptionError& error) {
      complaints.push_back(fmt::format("line {}: {}", value.source().begin.line, error.what()));
    }
  }
}

}  // namespace

Study read_study(const std::filesystem::path& path) {
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
  read_list(file, "models", study.models, complaints);
  read_section(file, "train", study.train, complaints);
  read_section(file, "measure", study.measure, complaints);
  read_section(file, "quantize", study.quantize, complaints);
  read_section(file, "noise", study.noise, complaints);
  read_section(file, "decode", study.decode, complaints);
  read_thresholds(file, study, complaints);
  const std::vector<std::string> sections = {"study",    "data",  "models", "train",     "measure",
                                             "quantize", "noise", "decode", "thresholds"};
  for (const auto& [key, node] : file)
    if (std::find(sections.begin(), sections.end(), std::string(key.str())) == sections.end())
      complaints.push_back(fmt::format("line {}: section {} is unknown; did you mean \"{}\"?", node.source().begin.line,
                                       key.str(), nearest_name(std::string(key.str()), sections)));
  if (study.name.empty()) study.name = path.stem().string();
  if (!complaints.empty()) throw OptionError(fmt::format("{}: {}", path.string(), fmt::join(complaints, "; ")));
  try {
    study.validate();
  } catch (const OptionError& error) {
    throw OptionError(fmt::format("{}: {}", path.string(), error.what()));
  }
  return study;
}

}  // namespace hone::experiments
