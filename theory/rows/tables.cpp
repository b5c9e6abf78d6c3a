#include "theory/rows/tables.hpp"

#include <cmath>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/rows/csv.hpp"
#include "theory/rows/layouts.hpp"

namespace fs = std::filesystem;

namespace hone::theory {
namespace {

/// Adds one row to a table.
class RowTo {
 public:
  explicit RowTo(CsvTable& table) : table_(table) {}
  template <class T>
  void operator()(const char* name, const T& value) const {
    if constexpr (std::is_enum_v<T>)
      table_.add(name, std::string(name_of(value)));
    else
      table_.add(name, value);
  }

 private:
  CsvTable& table_;
};

/// Fills one row from a line of a table. Columns of later versions that the table lacks leave the default.
class RowFrom {
 public:
  RowFrom(const Csv& csv, std::size_t row) : csv_(csv), row_(row) {}
  void operator()(const char* name, double& value) const {
    if (csv_.has(name)) value = csv_.number(row_, csv_.column(name));
  }
  void operator()(const char* name, std::int64_t& value) const { value = csv_.integer(row_, csv_.column(name)); }
  void operator()(const char* name, std::string& value) const {
    if (csv_.has(name)) value = csv_.text(row_, csv_.column(name));
  }
  void operator()(const char* name, Kind& value) const { value = kind_of(text(name), csv_.source()); }
  void operator()(const char* name, Architecture& value) const { value = architecture_of(text(name), csv_.source()); }

 private:
  const std::string& text(const char* name) const { return csv_.text(row_, csv_.column(name)); }

  const Csv& csv_;
  std::size_t row_;
};

/// The columns of `hone table` under the names of the tables per kind.
class StudyRowFrom : public RowFrom {
 public:
  using RowFrom::RowFrom;
  using RowFrom::operator();
  void operator()(const char* name, double& value) const {
    const std::pair<const char*, const char*> names[] = {
        {"trace", "trace_nats"}, {"trace_se", "trace_se_nats"}, {"lambda_max", "lambda_max_nats"}};
    for (const auto& [own, of_study] : names)
      if (std::string_view(name) == own) return RowFrom::operator()(of_study, value);
    RowFrom::operator()(name, value);
  }
};

/// One row per checkpoint of curvature, losses and one per bits of damage.
Table from_study_table(const Csv& csv) {
  Table table;
  const auto damage_layout = layout_of<PtqRow>();
  const auto sharpness_layout = layout_of<SharpnessRow>();
  const auto loss_layout = layout_of<LossRow>();
  std::tuple<std::string, std::string, double> last;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const StudyRowFrom from(csv, i);
    PtqRow damage;
    visit_subject(from, static_cast<Subject&>(damage));
    visit_entries(from, damage_layout, damage);
    if (std::isfinite(damage.P)) table.ptq.push_back(damage);
    const std::tuple here{damage.run, damage.variant, damage.D};
    if (here != last || i == 0) {
      SharpnessRow sharpness;
      static_cast<Subject&>(sharpness) = damage;
      sharpness.frobenius = sharpness.weighted_trace = std::nan("");
      visit_entries(from, sharpness_layout, sharpness);
      table.sharpness.push_back(sharpness);
      LossRow loss;
      static_cast<Subject&>(loss) = damage;
      visit_entries(from, loss_layout, loss);
      if (loss.is_full_precision()) table.losses.push_back(loss);
    }
    last = here;
    SharpnessRow& sharpness = table.sharpness.back();
    if (damage.P >= reference_bits_min && !(sharpness.weighted_trace > 0))
      sharpness.weighted_trace = damage.weighted_trace();
    ShiftRow shift;
    static_cast<Subject&>(shift) = damage;
    shift.P = damage.P;
    from("shifted_data", shift.shifted_data), from("shifted_loss_nats", shift.loss);
    from("shifted_delta_nats", shift.delta), from("shifted_delta_se_nats", shift.delta_se);
    if (!shift.shifted_data.empty() && std::isfinite(shift.P)) table.shift.push_back(shift);
  }
  return table;
}

}  // namespace

void add_subject(CsvTable& table, const Subject& subject) {
  const RowTo to(table);
  visit_subject(to, subject);
}

std::map<std::string, std::string> to_tables(const Table& table) {
  std::map<std::string, std::string> texts;
  for_kinds(table, [&]<class Row>(const std::vector<Row>& rows) {
    const Layout<Row> layout = layout_of<Row>();
    CsvTable csv;
    const RowTo to(csv);
    for (const Row& row : rows) {
      add_subject(csv, row);
      visit_entries(to, layout, row);
    }
    if (!rows.empty()) texts[layout.table] = csv.text();
  });
  return texts;
}

Table from_tables(const fs::path& path) {
  if (!fs::is_directory(path)) return from_study_table(read_csv(path));
  Table table;
  int found = 0;
  for_kinds(table, [&]<class Row>(std::vector<Row>& rows) {
    const Layout<Row> layout = layout_of<Row>();
    for (const char* ending : {".csv", ".csv.gz"}) {
      const fs::path file = path / (std::string(layout.table) + ending);
      if (!fs::exists(file)) continue;
      const Csv csv = read_csv(file);
      ++found;
      for (std::size_t i = 0; i < csv.rows(); ++i) {
        const RowFrom from(csv, i);
        Row& row = rows.emplace_back();
        visit_subject(from, static_cast<Subject&>(row));
        visit_entries(from, layout, row);
      }
      break;
    }
  });
  if (found == 0)
    throw IoError(fmt::format(
        "{}: holds no table (damage.csv, damage.csv.gz, ...); give the folder that hone judge wrote", path.string()));
  return table;
}

Table from_tables(const std::vector<fs::path>& paths) {
  Table all;
  std::map<std::string, fs::path> holder;
  for (const fs::path& path : paths) {
    Table part = from_tables(path);
    for_kinds(part, [&]<class Row>(std::vector<Row>& rows) {
      for (const Row& row : rows)
        if (const fs::path& first = holder.try_emplace(row.run, path).first->second; first != path)
          throw FormatError(
              fmt::format("{}: run {} is in {} too; leave one of them out", path.string(), row.run, first.string()));
    });
    for_kinds(all, [&]<class Row>(std::vector<Row>& rows) {
      for_kinds(part, [&]<class Other>(std::vector<Other>& more) {
        if constexpr (std::is_same_v<Row, Other>) rows.insert(rows.end(), more.begin(), more.end());
      });
    });
  }
  return all;
}

}  // namespace hone::theory
