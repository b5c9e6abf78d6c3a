#include <doctest/doctest.h>
#include <fmt/format.h>
#include <hdf5.h>
#include <hdf5_hl.h>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/base/rng.hpp"
#include "sim/record/h5.hpp"
#include "sim/record/h5_values.hpp"
#include "sim/record/run_file.hpp"
#include "tests/record/example_run.hpp"
#include "tests/support/messages.hpp"

TEST_SUITE_BEGIN("record");

namespace hone {
namespace {

using test::mentions;

constexpr std::size_t seal_bytes = 13 + 64;  // "\nhone.sha256=" and the digits, as SCHEMA.md says

/// What reading `bytes` as a file says: the message of its FormatError, or "readable".
std::string answer_to(const std::string& bytes) {
  const test::TemporaryFolder folder;
  write_text_atomically(folder / "hostile.h5", bytes);
  try {
    read_run_file(folder / "hostile.h5");
  } catch (const FormatError& error) {
    const std::string message = error.what();
    const bool names_path = message.find((folder / "hostile.h5").string()) != std::string::npos;
    return names_path ? message : "does not name the path: " + message;
  }
  return "readable";
}

/// A file of valid HDF5 that `fill` makes, with a correct seal.
template <class Fill>
std::string sealed(Fill&& fill) {
  const h5::Object file = h5::create_image("made by the test");
  fill(file);
  const std::string bytes = h5::bytes_of(file);
  return bytes + "\nhone.sha256=" + sha256(bytes);
}

void write_version(const h5::Object& file, const Attribute& version) {
  h5::write_attribute(file, "schema", "hone.run");
  h5::write_attribute(file, "schema_version", version);
}

std::string sealed_group(const std::function<void(const h5::Object&)>& fill) {
  return sealed([&](const h5::Object& file) {
    write_version(file, std::int64_t{1});
    fill(h5::create_group(file, "g"));
  });
}

void write_texts_of(const h5::Object& group, const std::string& name) {
  const h5::Object dataset = h5::open_member(group, name);
  h5::write_attribute(dataset, "units", "1");
  h5::write_attribute(dataset, "long_name", "");
}

/// A chunked dataset of `type` that claims `entries` and stores none of them.
void claim(const h5::Object& group, hsize_t entries, hid_t type = H5T_IEEE_F64LE, hsize_t chunk = 100) {
  const hid_t space = H5Screate_simple(1, &entries, nullptr), list = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(list, 1, &chunk);
  H5Dclose(H5Dcreate2(group.id(), "x", type, space, H5P_DEFAULT, list, H5P_DEFAULT));
  H5Pclose(list);
  H5Sclose(space);
  write_texts_of(group, "x");
  const h5::Object dataset = h5::open_member(group, "x");
  for (const auto& [name, text] : {std::pair{"CLASS", "DIMENSION_SCALE"}, std::pair{"NAME", "x"}})
    h5::write_attribute(dataset, name, text);
}

std::string bytes_of_example() {
  const test::TemporaryFolder folder;
  write_run_file(folder / "run.h5", test::example_run());
  return read_text(folder / "run.h5");
}

}  // namespace

TEST_CASE(
    "hostile: a truncated file -> FormatError naming path and fix [20 random lengths, 0, all but "
    "one]") {
  const std::string bytes = bytes_of_example();
  const Stream stream{.seed = 1};
  std::vector<std::size_t> lengths{0, 1, seal_bytes, bytes.size() - 1, bytes.size() - seal_bytes};
  for (std::uint64_t i = 0; i < 20; ++i) lengths.push_back(below(stream, i, bytes.size()));
  for (const std::size_t length : lengths) {
    const std::string answer = answer_to(bytes.substr(0, length));
    CHECK_MESSAGE(mentions(answer, "truncated"), fmt::format("{} of {}: {}", length, bytes.size(), answer));
    CHECK(mentions(answer, "measure it again"));
  }
}

TEST_CASE("hostile: one flipped bit anywhere -> FormatError [100 random places]") {
  const std::string bytes = bytes_of_example();
  const Stream stream{.seed = 2};
  for (std::uint64_t i = 0; i < 100; ++i) {
    std::string flipped = bytes;
    const std::size_t place = below(stream, 2 * i, bytes.size());
    flipped[place] = static_cast<char>(flipped[place] ^ (1 << below(stream, 2 * i + 1, 8)));
    const std::string answer = answer_to(flipped);
    CHECK_MESSAGE((mentions(answer, "seal") && answer != "readable"), fmt::format("byte {}: {}", place, answer));
  }
}

TEST_CASE("hostile: a heap of texts whose first object has no length, or too much -> FormatError, not a hang") {
  const std::string whole = sealed_group([](const h5::Object& g) { h5::write_attribute(g, "units", "nats"); });
  const std::size_t heap = whole.find("GCOL");
  REQUIRE(heap != whole.npos);
  const std::size_t index = heap + 16, length = index + 8;
  for (const char broken : {'\0', '\x7f'}) {
    std::string bytes = whole.substr(0, whole.size() - seal_bytes);
    std::fill_n(bytes.begin() + std::ptrdiff_t(index), 2, '\0');
    std::fill_n(bytes.begin() + std::ptrdiff_t(length), 8, broken);
    CHECK(mentions(answer_to(bytes + "\nhone.sha256=" + sha256(bytes)), "heap of texts"));
  }
}

TEST_CASE("hostile: foreign files -> FormatError [text, plain HDF5, sealed nonsense]") {
  CHECK(mentions(answer_to("step,loss\n1,2\n"), "no hone seal"));
  CHECK(mentions(answer_to(std::string(100000, 'x')), "no hone seal"));
  const std::string plain = h5::bytes_of(h5::create_image("plain"));
  CHECK(mentions(answer_to(plain), "no hone seal"));
  CHECK(mentions(answer_to("nonsense\nhone.sha256=" + sha256("nonsense")), "is no HDF5 file"));
  CHECK(mentions(answer_to(sealed([](const h5::Object&) {})), "attribute 'schema' is ''"));
}

TEST_CASE("hostile: another schema or a newer version -> FormatError with a hint") {
  const auto with_version = [](const Attribute& version) {
    return answer_to(sealed([&](const h5::Object& file) { write_version(file, version); }));
  };
  CHECK(with_version(std::int64_t{1}) == "readable");
  CHECK(mentions(with_version(std::int64_t{3}), "'schema_version' is 3 and this hone reads up to 2; use the newer"));
  CHECK(mentions(with_version(std::int64_t{0}), "no positive int64"));
  CHECK(mentions(with_version("1"), "no positive int64"));
  CHECK(mentions(answer_to(sealed([](const h5::Object& file) { h5::write_attribute(file, "schema", "other"); })),
                 "attribute 'schema' is 'other'"));
}

TEST_CASE(
    "hostile: a claim of far more entries than the file can hold -> FormatError, nothing is "
    "allocated") {
  const hsize_t tera = hsize_t{1} << 40;
  CHECK(
      mentions(answer_to(sealed_group([&](const h5::Object& g) { claim(g, tera); })), "claims 1099511627776 entries"));
  CHECK(answer_to(sealed_group([&](const h5::Object& g) { claim(g, 1000); })) == "readable");
}

TEST_CASE("hostile: a great many small chunks -> FormatError, for HDF5 keeps something for each of them") {
  const auto claim_chunks = [](hsize_t chunk) {
    return answer_to(sealed_group([&](const h5::Object& g) { claim(g, 100'000, H5T_IEEE_F64LE, chunk); }));
  };
  CHECK(mentions(claim_chunks(1), "/g/x: holds 100000 entries in 100000 chunks, far smaller ones than hone writes"));
  CHECK(mentions(claim_chunks(63), "in 1588 chunks"));
  CHECK(claim_chunks(64) == "readable");
}

TEST_CASE("hostile: texts take more of a file than numbers do, and so fewer can be claimed") {
  const auto claim_texts = [](hsize_t entries) {
    return answer_to(sealed_group([&](const h5::Object& g) {
      const hid_t text = H5Tcopy(H5T_C_S1);
      H5Tset_size(text, H5T_VARIABLE);
      claim(g, entries, text);
      H5Tclose(text);
    }));
  };
  CHECK(mentions(claim_texts(100'000), "/g/x: claims 100000 entries"));
  CHECK(claim_texts(100) == "readable");
}

TEST_CASE("hostile: what the schema has no place for -> FormatError naming the object") {
  const auto loose = [](const h5::Object& group) {
    h5::write_array(group, "x", {2}, std::vector<double>{1, 2});
    write_texts_of(group, "x");
  };
  CHECK(mentions(answer_to(sealed_group(loose)), "/g/x: has axes without dimension scales"));
  CHECK(
      mentions(answer_to(sealed_group([](const h5::Object& g) { h5::create_group(g, "h"); })), "/g/h: is no dataset"));
  CHECK(mentions(answer_to(sealed([](const h5::Object& file) {
                   write_version(file, std::int64_t{1});
                   h5::write_array(file, "x", {}, std::vector<double>{1});
                 })),
                 "/x: is no group"));
  CHECK(mentions(answer_to(sealed([&](const h5::Object& file) {
                   write_version(file, std::int64_t{1});
                   const h5::Object other = h5::create_group(file, "other"), group = h5::create_group(file, "g");
                   h5::write_array(other, "i", {2}, std::vector<std::int64_t>{0, 1});
                   loose(group);
                   const h5::Object scale = h5::open_member(other, "i"), x = h5::open_member(group, "x");
                   REQUIRE(H5DSattach_scale(x.id(), scale.id(), 0) >= 0);
                 })),
                 "/g/x: has a dimension scale outside its group"));
  CHECK(mentions(answer_to(sealed_group([](const h5::Object& g) {
                   H5Lcreate_external("/etc/passwd", "/", g.id(), "x", H5P_DEFAULT, H5P_DEFAULT);
                 })),
                 "member 'x' is a link that leads elsewhere"));
  CHECK(mentions(
      answer_to(sealed_group([](const h5::Object& g) { h5::write_array(g, "x", {}, std::vector<double>{1}); })),
      "/g/x: attribute 'units': is missing"));
}

TEST_SUITE_END();

}  // namespace hone
