#include "experiments/instruments/journal.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "sim/base/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace fs = std::filesystem;
using hone::experiments::ProductJournal;

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

/// Multiplies by 1, 2, 3, … and counts the products that were really done.
struct Counted {
  int products = 0;
  LinearOperator op(Index n) {
    return {n, [this, n](const Vector<double>& v, Vector<double>& result) {
              ++products;
              result = v.cwiseProduct(Vector<double>::LinSpaced(n, 1, double(n)));
            }};
  }
};

/// Three products that depend on one another, as those of a Krylov method do.
Vector<double> chain(const LinearOperator& op, double start) {
  Vector<double> v = Vector<double>::Constant(op.size, start), w;
  for (int i = 0; i < 3; ++i) {
    op.apply(v, w);
    v = w;
  }
  return v;
}

struct Session {
  int done = 0;
  std::int64_t replayed = 0;
  Vector<double> result;
};

Session session(const fs::path& path, const std::string& identity, double start = 1, Index n = 5) {
  Counted counted;
  Session s;
  ProductJournal journal(path, identity, n);
  s.result = chain(journal.keep(counted.op(n)), start);
  s.done = counted.products, s.replayed = journal.replayed();
  return s;
}

TEST_CASE("journal: products of an earlier process are not done again and have its bits") {
  TemporaryFolder folder;
  const fs::path path = folder.path() / "a.products";
  const Session first = session(path, "theta"), again = session(path, "theta");
  CHECK(first.done == 3);
  CHECK(first.replayed == 0);
  CHECK(again.done == 0);
  CHECK(again.replayed == 3);
  CHECK(again.result == first.result);
}

TEST_CASE("journal: another identity or size begins anew") {
  TemporaryFolder folder;
  const fs::path path = folder.path() / "a.products";
  session(path, "theta");
  CHECK(session(path, "other").done == 3);
  CHECK(session(path, "theta").done == 3);
  CHECK(session(path, "theta", 1, 6).done == 3);
}

TEST_CASE("journal: another first vector ends the replay and the new products are kept") {
  TemporaryFolder folder;
  const fs::path path = folder.path() / "a.products";
  session(path, "theta", 1);
  const Session other = session(path, "theta", 2);
  CHECK(other.done == 3);
  CHECK(other.result == chain(Counted().op(5), 2));
  CHECK(session(path, "theta", 2).done == 0);
}

TEST_CASE("journal: cut anywhere it replays the whole records and gives the same result") {
  TemporaryFolder folder;
  const fs::path path = folder.path() / "a.products";
  const Session whole = session(path, "theta");
  const auto size = fs::file_size(path);
  for (std::uintmax_t keep = 0; keep <= size; keep += 7) {
    session(path, "theta");
    fs::resize_file(path, keep);
    const Session cut = session(path, "theta");
    CAPTURE(keep);
    CHECK(cut.done + cut.replayed == 3);
    CHECK(cut.result == whole.result);
  }
}

TEST_CASE("journal: a flipped bit is never taken for a product") {
  TemporaryFolder folder;
  const fs::path path = folder.path() / "a.products";
  const Session whole = session(path, "theta");
  for (std::uintmax_t at = 0; at < fs::file_size(path); at += 11) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(std::streamoff(at));
    const char byte = char(file.get() ^ 4);
    file.seekp(std::streamoff(at));
    file.put(byte);
    file.close();
    const Session damaged = session(path, "theta");
    CAPTURE(at);
    CHECK(damaged.done >= 1);
    CHECK(damaged.result == whole.result);
  }
}

TEST_CASE("journal: of two operators that write one file in turns, none takes a product of the other") {
  TemporaryFolder folder;
  const fs::path path = folder.path() / "a.products";
  Counted counted, doubled;
  LinearOperator twice = doubled.op(5);
  twice.apply = [inner = std::move(twice.apply)](const Vector<double>& v, Vector<double>& result) {
    inner(v, result);
    result *= 2;
  };
  ProductJournal first(path, "one", 5), second(path, "two", 5);
  const LinearOperator a = first.keep(counted.op(5)), b = second.keep(std::move(twice));
  Vector<double> va = Vector<double>::Ones(5), vb = va, w;
  for (int i = 0; i < 3; ++i) {
    a.apply(va, w), va = w;
    b.apply(vb, w), vb = w;
  }
  CHECK(va == chain(Counted().op(5), 1));
  CHECK(vb == 8 * va);
  CHECK(session(path, "one").result == va);
}

TEST_CASE("journal: two processes on the same products leave each other's records, and the later reads them") {
  TemporaryFolder folder;
  const fs::path path = folder.path() / "a.products";
  Counted early, late;
  ProductJournal ahead(path, "theta", 5), behind(path, "theta", 5);
  const LinearOperator a = ahead.keep(early.op(5)), b = behind.keep(late.op(5));
  const Vector<double> whole = chain(a, 1);
  CHECK(chain(b, 1) == whole);
  CHECK(late.products == 0);
  CHECK(session(path, "theta").done == 0);
}

TEST_CASE("journal: a folder that is missing is named") {
  TemporaryFolder folder;
  CHECK_THROWS_AS(ProductJournal(folder.path() / "none" / "a.products", "theta", 3), IoError);
}

}  // namespace
}  // namespace hone::test

TEST_SUITE_END();
