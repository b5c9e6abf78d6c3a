// One run file under reading: its checkpoints as subjects, and the entries of the groups that hang on them. Internal to the
// rows.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "theory/rows/column.hpp"
#include "theory/rows/layouts.hpp"

namespace hone::theory {

/// The entries of a field in an array over `axes`.
class Projection {
 public:
  /// expects  every dimension of the field is among the axes
  Projection(const FieldFacts& field, const std::vector<std::string>& axes);
  Place operator()(const Place& entry) const {
    Place place{};
    for (std::size_t i = 0; i < axis_of_.size(); ++i) place[i] = entry[axis_of_[i]];
    return place;
  }

 private:
  std::vector<std::size_t> axis_of_;
};

class RunReader {
 public:
  /// errors  FormatError naming the source, the group and what it lacks
  RunReader(const RunFile& run, std::string source);

  const std::string& source() const { return source_; }
  std::size_t checkpoints() const { return subjects_.size(); }
  const Dataset* group(const std::string& name) const { return group_of(run_, name); }
  Column column(const FieldFacts& field) const { return Column(run_, field, source_); }
  /// The values of a text over one dimension; null where the run lacks it.
  /// errors  FormatError when it has other dimensions or holds numbers
  const std::vector<std::string>* texts(const FieldFacts& field) const;
  /// An attribute of a group.
  /// errors  FormatError when it is no text
  std::string text(const Dataset& group, const Fact<std::string>& fact) const;

  /// Calls visit(subject, entry) for each entry of a group along the axes, the last axis fastest. A group without
  /// checkpoints belongs to the last one of the trunk. Nothing is called where the run lacks the group.
  /// errors  FormatError when the group has another number of checkpoints than the run
  template <class Visit>
  void for_entries(const std::string& name, const std::vector<std::string>& axes, Visit&& visit) const {
    const Dataset* data = group(name);
    if (!data) return;
    const bool is_by_checkpoint = axes[0] == schema::axis::checkpoint;
    const Subject* last = last_of_trunk();
    if (is_by_checkpoint) expect_checkpoints(name);
    if (!is_by_checkpoint && !last) return;
    Place lengths{1, 1, 1}, at{};
    for (std::size_t i = 0; i < axes.size(); ++i) lengths[i] = std::size_t(data->length(axes[i]));
    for (at[0] = 0; at[0] < lengths[0]; ++at[0])
      for (at[1] = 0; at[1] < lengths[1]; ++at[1])
        for (at[2] = 0; at[2] < lengths[2]; ++at[2]) visit(is_by_checkpoint ? subjects_[at[0]] : *last, at);
  }

  /// Appends the rows of a kind in the order of its axes; finish(row, entry) adds what no field says.
  template <class Row, class Finish>
  void append(std::vector<Row>& rows, Finish&& finish) const {
    append(rows, layout_of<Row>(), finish);
  }

  /// The same from a layout at choice.
  template <class Row, class Finish>
  void append(std::vector<Row>& rows, const Layout<Row>& layout, Finish&& finish) const {
    if (!group(layout.group)) return;
    std::vector<Filler<Row>> fillers;
    for (const Entry<Row>& entry : layout.entries)
      if (entry.field) fillers.push_back(filler(layout, entry));
    for_entries(layout.group, layout.axes, [&](const Subject& subject, const Place& at) {
      Row row;
      static_cast<Subject&>(row) = subject;
      for (const Filler<Row>& fill : fillers) fill(row, at);
      finish(row, at);
      rows.push_back(std::move(row));
    });
  }

  /// A group along `checkpoint` has as many as the run.
  /// errors  FormatError naming both counts
  void expect_checkpoints(const std::string& name) const;

 private:
  template <class Row>
  using Filler = std::function<void(Row&, const Place&)>;

  /// Writes a field into its member.
  template <class Row>
  Filler<Row> filler(const Layout<Row>& layout, const Entry<Row>& entry) const {
    const FieldFacts& field = *entry.field;
    const Projection place(field, layout.axes);
    if (const auto* text = std::get_if<std::string Row::*>(&entry.member)) {
      const std::vector<std::string>* found = texts(field);
      const std::vector<std::string>& values = found ? *found : group(field.group)->strings(field.name);
      return [member = *text, &values, place](Row& row, const Place& at) { row.*member = values[place(at)[0]]; };
    }
    const Column values = column(field);
    if (values.is_present() && field.dims[0] == std::string_view(schema::axis::checkpoint))
      expect_checkpoints(field.group);
    return [member = std::get<double Row::*>(entry.member), values, place](Row& row, const Place& at) {
      row.*member = values.at(place(at));
    };
  }

  std::int64_t seed_of(const Dataset& manifest) const;
  double model_params_of(const Dataset& manifest) const;
  void read_recipe(Subject& subject, const Dataset& manifest) const;
  std::string branch_of(const Subject& subject) const;
  void read_branch(Subject& subject) const;
  double warmup_weight(const std::string& variant, double step) const;
  template <class T>
  T option(const std::string& name, T otherwise) const;
  const Subject* last_of_trunk() const;

  const RunFile& run_;
  std::string source_;
  std::vector<Subject> subjects_;
};

}  // namespace hone::theory
