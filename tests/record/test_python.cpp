#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdlib>
#include <iostream>

#include "sim/base/atomic_file.hpp"
#include "sim/record/run_file.hpp"
#include "tests/record/example_run.hpp"

TEST_SUITE_BEGIN("record");

namespace hone {
namespace {

constexpr int modules_missing = 77;

constexpr const char* script = R"(
import sys, warnings
try:
    import h5py, h5netcdf, numpy as np, xarray as xr
except ImportError as error:
    print(error)
    sys.exit(77)
warnings.simplefilter("error", UserWarning)
path = sys.argv[1]

with h5py.File(path, "r") as f:
    assert f.attrs["schema"] == "hone.run" and f.attrs["title"] == "example"
    assert f.attrs["schema_version"] == 2 and f.attrs["schema_version"].shape == ()
    assert f.attrs["Conventions"] == "hone.run-2" and len(f.attrs["study"]) == 100000
    ptq = f["ptq"]
    assert ptq["delta_nats"].dtype == "<f8" and ptq["delta_nats"].dims[1][0].name == "/ptq/bits"
    assert h5py.h5ds.is_attached(ptq["delta_nats"].id, ptq["bits"].id, 1)
    assert h5py.h5ds.is_attached(ptq["delta_nats"].id, ptq["checkpoint"].id, 0)
    assert list(ptq["checkpoint"]) == [0, 1]
    assert ptq["variant"].asstr()[0] == "trunk" and ptq["variant"].asstr()[1] == ""
    assert ptq["variant"].attrs["long_name"] == "größer → ∞"
    assert ptq["verdict"].shape == () and ptq["verdict"].asstr()[()] == "naïve"
    assert ptq.attrs["windows"] == -9007199254740993 and ptq.attrs["windows"].shape == ()
    weights = f["state/parameters"]
    assert weights.dtype == "<f4" and weights.shuffle and weights.fletcher32
    assert weights.compression == "gzip" and weights.compression_opts == 4
    for group in f.values():
        for dataset in group.values():
            if dataset.attrs.get("CLASS") != b"DIMENSION_SCALE":
                for axis in range(dataset.ndim):
                    assert len(dataset.dims[axis]) == 1, dataset.name
                assert dataset.attrs["units"] and dataset.attrs["long_name"]

def opened(group):
    return xr.open_dataset(path, engine="h5netcdf", group=group)

ptq = opened("ptq")
assert dict(ptq.sizes) == {"checkpoint": 2, "bits": 3}, ptq.sizes
assert list(ptq.coords) == ["bits"] and list(ptq.bits.values) == [2, 3, 4]
assert ptq.delta_nats.dims == ("checkpoint", "bits") and ptq.delta_nats.attrs["units"] == "nats"
assert ptq.delta_nats.values[0, 0] == 0.5 and np.isnan(ptq.delta_nats.values[0, 1])
assert list(ptq.variant.values) == ["trunk", ""] and ptq.verdict.values[()] == "naïve"
assert float(ptq.damage) == 0.25 and ptq.attrs["grid"] == "int-symmetric"
state = opened("state")
assert list(state.block.values) == ["wq", "wüi"] and float(state.trace.sel(block="wüi")) == 2
assert state.cube.dims == ("a", "b", "c") and state.cube.values[1, 2, 3] == 135**2 - 5
assert state.parameters.dtype == np.float32 and state.parameters.size == 70000
series = opened("series")
assert dict(series.sizes) == {"step": 0, "row": 0, "col": 4} and series.lr.size == 0
assert opened("manifest").attrs["git_id"] == ""
)";

}  // namespace

TEST_CASE("run_file: h5py and xarray read names, axes, units, text and numbers") {
  const test::TemporaryFolder folder;
  write_run_file(folder / "run.h5", test::example_run());
  write_text_atomically(folder / "check.py", script);
  const std::string command =
      fmt::format("'" HONE_TEST_PYTHON "' -X utf8 '{}' '{}' > '{}' 2>&1", (folder / "check.py").string(),
                  (folder / "run.h5").string(), (folder / "said").string());
  const int status = std::system(command.c_str());
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  const std::string said = read_text(folder / "said");
  if (code == modules_missing || code == 127) {
    std::cout << "SKIPPED: Python cannot read run files here: " << said << '\n';
    return;
  }
  CHECK_MESSAGE(code == 0, said);
}

TEST_SUITE_END();

}  // namespace hone
