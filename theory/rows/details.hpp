// What the runs of a study recorded beyond the rows of the judges, as further tables: checkpoints, spectra and their
// certificates, windows, blocks, training at low precision, training losses, schemes of quantization, decoding.
#pragma once

#include <map>
#include <string>

#include "theory/rows/csv.hpp"

namespace hone {
struct RunFile;
}

namespace hone::theory {

/// The tables, run by run. With those of tables.hpp they hold every variable that a study records.
class Details {
 public:
  /// Appends the rows of one run. A row begins with the columns of its subject; groups without checkpoints belong to the
  /// last one of the trunk. Columns are named as in SCHEMA.md, with the group before them where a column of the subject
  /// has the same name. An axis without coordinate is a column that counts from 0. Of the training losses every k-th
  /// update is taken, at most 100 of a run; of a density, neighbours are merged to at most 64 nodes of a probe.
  /// errors  those of append_run
  void append(const RunFile& run, const std::string& source);

  /// CSV texts by name; kinds without rows are left out.
  std::map<std::string, std::string> texts() const;

 private:
  std::map<std::string, CsvTable> tables_;
};

}  // namespace hone::theory
