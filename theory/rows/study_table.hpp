// All measurements of a study as one flat table, for readers who do not know the groups of run files.
// sim/record/SCHEMA.md lists the columns with their units.
#pragma once

#include <string>

namespace hone {
class Dataset;
struct RunFile;
}  // namespace hone

namespace hone::theory {

/// Appends the rows of one run along dimension `row`: one per (checkpoint, bits of /ptq), or one per checkpoint with
/// `bits` NaN where /ptq was not measured. What a run did not record is NaN, or "" in a column of text.
/// `file` and `sha256` say which file the rows come from.
/// errors  FormatError naming the file, the group and the variable; `table` is unchanged then
void append_rows(Dataset& table, const RunFile& run, const std::string& file, const std::string& sha256);

/// The table as comma-separated values (RFC 4180, lines end in \n): a line of names, then the rows. Numbers have the
/// fewest digits that give the same float64 back; NaN is an empty field.
/// expects  a table that append_rows filled
std::string to_csv(const Dataset& table);

/// The columns as a table of SCHEMA.md.
std::string table_as_markdown();

}  // namespace hone::theory
