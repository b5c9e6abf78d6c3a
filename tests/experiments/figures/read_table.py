"""Reads the table of a study as its users do: pandas, xarray, numpy; and the example of SCHEMA.md.

usage: read_table.py REPOSITORY STUDY_FOLDER
"""

import os
import re
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr

repository, folder = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
csv = pd.read_csv(folder / "table.csv", float_precision="round_trip")
h5 = xr.open_dataset(folder / "table.h5", engine="h5netcdf", group="table")
plain = np.genfromtxt(folder / "table.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")

# One content in both files, to the last bit.
assert set(csv.columns) == set(h5.variables), set(csv.columns) ^ set(h5.variables)
assert len(csv) == h5.sizes["row"] == len(plain) > 0
for name in csv.columns:
    values = h5[name].values
    if values.dtype == object:
        assert list(csv[name].fillna("")) == list(values), name
    else:
        assert np.array_equal(csv[name].to_numpy(float), values.astype(float), equal_nan=True), name
assert np.array_equal(plain["delta_nats"], h5.delta_nats.values)

# The numbers are those of the run files.
for _, row in csv.iterrows():
    with h5py.File(folder / row.file) as run:
        bits = list(run["ptq/bits"][:]).index(row.bits)
        assert run["ptq/delta_nats"][row.checkpoint, bits] == row.delta_nats
        assert run["curvature/trace"][row.checkpoint] == row.trace_nats
        assert run["checkpoints/tokens"][row.checkpoint] == row.tokens
        assert run["options"].attrs["train.batch"] == row.batch

# SCHEMA.md names every column in this order, with its type, unit and meaning.
schema = (repository / "sim" / "record" / "SCHEMA.md").read_text()
section = schema[schema.index("# The table of a study"):]
documented = [tuple(cell.strip() for cell in line.strip("|").split(" | "))
              for line in section.splitlines() if line.startswith("| ")][1:]
assert [name for name, *_ in documented] == list(csv.columns)
with h5py.File(folder / "table.h5") as file:
    for name, kind, unit, meaning in documented:
        column = file["table"][name]
        stored = "text" if column.dtype == object else str(column.dtype)
        assert (stored, column.attrs["units"], column.attrs["long_name"]) == (kind, unit, meaning), name

# The example of SCHEMA.md draws.
example = re.search(r"```python\n(.*?)```", section, re.S).group(1)
assert "outputs/demo/" in example
import matplotlib  # noqa: E402

matplotlib.use("Agg")
with tempfile.TemporaryDirectory() as scratch:
    os.chdir(scratch)
    exec(example.replace("outputs/demo/", f"{folder}/"))  # pylint: disable=exec-used
    assert Path("delta.png").stat().st_size > 10_000
    assert len(plt.gca().get_legend().texts) == len(csv.groupby(["model", "seed"]))  # noqa: F821
    os.chdir("/")
