// The rows of a study as files that need no run file: one CSV table per kind. They hold everything that the judges read.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "theory/rows/rows.hpp"

namespace hone::theory {

class CsvTable;

/// Begins a row of a table with the columns of its subject.
void add_subject(CsvTable& table, const Subject& subject);

/// The tables as CSV texts by name: damage, curvature, factorial, noise, losses, shift, schemes, injection, experts; those without rows are
/// left out. Each row begins with the columns of its subject.
/// ensures  from_tables of these files gives back the same rows, bit for bit
std::map<std::string, std::string> to_tables(const Table& table);

/// The rows of a folder with such tables, NAME.csv or NAME.csv.gz, or of the one file that `hone table` writes, which
/// holds damage, traces and losses only.
/// errors  IoError; FormatError naming the file, the line, the column and the cell
Table from_tables(const std::filesystem::path& path);

/// The rows of several such folders or files, in the order given: parts of one study that were measured apart.
/// expects  one path at least
/// errors   those of from_tables; FormatError naming a run that two of them hold
Table from_tables(const std::vector<std::filesystem::path>& paths);

}  // namespace hone::theory
