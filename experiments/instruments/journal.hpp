// A journal of operator products on disk, so that a process that was killed does not repeat them. Instruments are
// deterministic: a second process asks for the same products in the same order, reads them from the journal and reaches
// the same state bit for bit. This holds for every instrument: eigenpairs, density, traces, noise.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "sim/curvature/operators.hpp"

namespace hone::experiments {

/// One file of records, one for each product, written as it is done: the hash of the operator's identity with the
/// input, the hash of the output, the output. A torn record, a damaged one, or one of another operator or sequence of
/// products ends the replay and is overwritten. Nothing is ever cut off, and equal products are equal bytes at equal
/// places: processes that keep one journal at the same time write the same file, and the slower one reads the other's.
class ProductJournal {
 public:
  /// `identity` names everything that decides the products (parameters, tokens, precision, build).
  /// ensures  no product of another identity is ever taken from the file
  /// errors   IoError naming the file and the cause (folder missing, permissions, full disk)
  ProductJournal(std::filesystem::path path, const std::string& identity, Index size);
  ~ProductJournal();
  ProductJournal(const ProductJournal&) = delete;
  ProductJournal& operator=(const ProductJournal&) = delete;

  /// The operator with its products kept here; on_replay() is called after each that comes from the file. It must not
  /// outlive the journal.
  /// cost  two SHA-256 and one write of size·8 bytes per product
  LinearOperator keep(
      LinearOperator op, std::function<void()> on_replay = [] {});

  /// Products that came from the file so far.
  std::int64_t replayed() const { return replayed_; }

 private:
  std::string hash_of_input(const Vector<double>& v) const;
  bool replay(const Vector<double>& v, Vector<double>& result);
  void append(const Vector<double>& v, const Vector<double>& result);

  std::filesystem::path path_;
  std::string identity_;
  int file_ = -1;
  Index size_;
  std::int64_t position_ = 0, replayed_ = 0;  ///< of the next record, in bytes
  bool replaying_ = true;
};

}  // namespace hone::experiments
