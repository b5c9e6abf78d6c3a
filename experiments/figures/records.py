"""Reads what a study left: run files, verdict.json, study.toml. Checks shapes, computes nothing.

A run file is refused unless its seal (SHA-256 of all bytes before it) holds, as in sim/record.
"""

import hashlib
import json
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np

SCHEMA_VERSION = 1
VERDICT_SCHEMA = 1
SEAL_PREFIX = b"\nhone.sha256="
SEAL_DIGITS = 64
VERDICT_FIELDS = ("id", "question", "hypothesis", "outcome", "prose", "estimate", "low", "high",
                  "level", "n", "rule", "thresholds", "controls", "details")
OUTCOMES = ("supported", "refuted", "inconclusive")

# Dimensions of every array that a figure reads; the first one that is met fixes a length.
DIMENSIONS = {
    "series": {"tokens": ("step",), "loss_nats": ("step",)},
    "checkpoints": {
        "tokens": ("checkpoint",), "variant": ("checkpoint",), "loss_nats": ("checkpoint",),
        "loss_se_nats": ("checkpoint",),
    },
    "ptq": {
        "bits": ("bits",), "delta_nats": ("checkpoint", "bits"),
        "delta_se_nats": ("checkpoint", "bits"), "predicted_nats": ("checkpoint", "bits"),
        "predicted_se_nats": ("checkpoint", "bits"),
    },
    "curvature": {
        "lambda": ("checkpoint", "rank"), "trace": ("checkpoint",), "trace_se": ("checkpoint",),
        "slq_node": ("checkpoint", "probe", "node"),
        "slq_weight": ("checkpoint", "probe", "node"),
        "lambda_smallest": ("checkpoint", "rank_smallest"), "atoms": ("checkpoint",),
        "dimension": ("checkpoint",), "certificate": ("certificate",),
        "certificate_value": ("checkpoint", "certificate"),
        "certificate_limit": ("checkpoint", "certificate"),
        "certificate_passed": ("checkpoint", "certificate"),
    },
    "factorial": {
        "w_bits": ("cell",), "a_bits": ("cell",), "kv_bits": ("cell",),
        "delta_nats": ("checkpoint", "cell"), "delta_se_nats": ("checkpoint", "cell"),
    },
    "noise": {
        "subspace": ("subspace",), "energy": ("checkpoint", "amplitude"),
        "delta_nats": ("checkpoint", "subspace", "amplitude"),
        "delta_se_nats": ("checkpoint", "subspace", "amplitude"),
        "predicted_nats": ("checkpoint", "subspace", "amplitude"),
    },
    "schemes": {
        "scheme": ("entry",), "bits": ("entry",), "bits_per_weight": ("entry",),
        "delta_nats": ("entry",), "delta_se_nats": ("entry",), "kl_nats": ("entry",),
        "top1_agreement": ("entry",), "gradient_nats": ("entry",), "quadratic_nats": ("entry",),
        "reference_delta_nats": ("entry",),
    },
    "decode": {
        "policy": ("policy",), "key_bits": ("policy",), "value_bits": ("policy",),
        "first": ("octave",), "last": ("octave",), "delta_nats": ("policy", "octave"),
        "delta_se_nats": ("policy", "octave"), "mean_delta_nats": ("policy",),
        "mean_delta_se_nats": ("policy",),
    },
    "decode_copy": {
        "policy": ("policy",), "distance": ("distance",), "delta_nats": ("policy", "distance"),
        "delta_se_nats": ("policy", "distance"),
    },
    "decode_free": {
        "policy": ("policy",), "greedy_agreement": ("policy", "position"),
        "greedy_first_difference": ("policy", "prompt"),
    },
    "decode_schedules": {
        "schedule": ("entry",), "average_bits": ("entry",), "first_bits": ("entry",),
        "last_bits": ("entry",), "mean_delta_nats": ("entry",), "mean_delta_se_nats": ("entry",),
        "to_uniform_nats": ("entry",), "to_uniform_se_nats": ("entry",),
    },
}
TEXTS = {"variant", "subspace", "certificate", "scheme", "policy", "schedule"}
COORDINATES = {"checkpoints": ("tokens", "variant"), "ptq": ("bits",), "noise": ("subspace",),
               "factorial": ("w_bits", "a_bits", "kv_bits"), "schemes": ("scheme", "bits"),
               "decode": ("policy", "first", "last"), "decode_copy": ("policy", "distance"),
               "decode_free": ("policy",), "decode_schedules": ("schedule",)}
MANIFEST_NEEDED = ("run_id", "architecture", "model_params", "seed")


class RecordError(Exception):
    """Something in the study folder cannot be read: one line with the file and the fix."""


class NothingMeasured(RecordError):
    """A whole run file without a single checkpoint."""


class Absent(Exception):
    """No run measured what a figure needs: the reason, for the report."""


@dataclass
class Run:
    """One run file. `groups` holds only the groups that are there."""

    path: Path
    sha256: str
    manifest: dict
    options: dict
    groups: dict

    @property
    def size(self):
        return float(self.manifest["model_params"])

    @property
    def is_transformer(self):
        return self.manifest["architecture"] == "transformer"

    def array(self, group, name):
        """The array, or one filled with NaN where the run did not record it."""
        data = self.groups[group]
        if name in data:
            return data[name]
        lengths = data["lengths"]
        return np.full([lengths.get(dim, 0) for dim in DIMENSIONS[group][name]], np.nan)


@dataclass
class Study:
    folder: Path
    name: str
    title: str
    runs: list
    verdicts: dict
    settings_text: str

    def drawn_runs(self, group):
        """The transformer runs that have a group; verdicts are about transformers alone."""
        runs = [r for r in self.runs if r.is_transformer and group in r.groups]
        if not runs:
            raise Absent(f"no transformer run has the group /{group}")
        return runs

    def verdict(self, question):
        return self.verdicts.get(question)

    def detail(self, question, name):
        """A named number behind a verdict, or None when it is absent or null."""
        for entry in (self.verdicts.get(question) or {}).get("details", []):
            if entry["name"] == name and is_number(entry["value"]):
                return entry
        return None


def is_number(value):
    return isinstance(value, (int, float)) and math.isfinite(value)


def plain(value):
    """An HDF5 attribute as a Python value."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


def checked_seal(path):
    """SHA-256 of the whole file, after its seal was found to hold."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); check its permissions")
    seal = SEAL_DIGITS + len(SEAL_PREFIX)
    content, end = data[:-seal], data[-seal:]
    if len(data) <= seal or not end.startswith(SEAL_PREFIX):
        raise RecordError(f"{path}: has no hone seal at its end: it was truncated or written by "
                          "another program; restore it or measure it again")
    if hashlib.sha256(content).hexdigest().encode() != end[len(SEAL_PREFIX):]:
        raise RecordError(f"{path}: its SHA-256 differs from its seal: bytes were changed after "
                          "it was written; restore it or measure it again")
    return hashlib.sha256(data).hexdigest()


def read_array(path, group, name, dataset, lengths):
    """One array with the rank and lengths that the schema gives it."""
    dims = DIMENSIONS[group][name]
    where = f"{path}: /{group}/{name}"
    if len(dataset.shape) != len(dims):
        raise RecordError(f"{where} has {len(dataset.shape)} dimensions, expected "
                          f"({', '.join(dims)}); measure it again")
    for dim, length in zip(dims, dataset.shape):
        if lengths.setdefault(dim, length) != length:
            raise RecordError(f"{where} has {length} entries along {dim}, expected "
                              f"{lengths[dim]}; measure it again")
    is_text = h5py.check_string_dtype(dataset.dtype) is not None
    if is_text != (name in TEXTS):
        wanted = "text" if name in TEXTS else "numbers"
        raise RecordError(f"{where} does not hold {wanted}; measure it again")
    return list(dataset.asstr()[()]) if is_text else np.asarray(dataset[()], dtype=float)


def read_group(path, name, group, checkpoints):
    lengths = {} if checkpoints is None else {"checkpoint": checkpoints}
    data = {key: read_array(path, name, key, group[key], lengths)
            for key in DIMENSIONS[name] if key in group}
    for needed in COORDINATES.get(name, ()):
        if needed not in data:
            raise RecordError(f"{path}: /{name} has no {needed}; measure it again")
    return data | {"lengths": lengths}


def read_attributes(file, name):
    return {k: plain(v) for k, v in file[name].attrs.items()} if name in file else {}


def read_content(path, file):
    if plain(file.attrs.get("schema", "")) != "hone.run":
        raise RecordError(f"{path}: attribute schema is not hone.run; remove it from runs/")
    version = plain(file.attrs.get("schema_version", 0))
    if version != SCHEMA_VERSION:
        raise RecordError(f"{path}: attribute schema_version = {version}, expected "
                          f"{SCHEMA_VERSION}; use the figures of the hone that wrote it")
    manifest = read_attributes(file, "manifest")
    for needed in MANIFEST_NEEDED:
        if needed not in manifest:
            raise RecordError(f"{path}: /manifest has no attribute {needed}; measure it again")
    if not is_number(manifest["model_params"]) or manifest["model_params"] <= 0:
        raise RecordError(f"{path}: /manifest attribute model_params = "
                          f"{manifest['model_params']}, expected a number above 0; measure it "
                          "again")
    options = read_attributes(file, "options")
    if "checkpoints" not in file:
        raise NothingMeasured(f"{path}: has no group /checkpoints; measure it again")
    groups = {"checkpoints": read_group(path, "checkpoints", file["checkpoints"], None)}
    count = groups["checkpoints"]["lengths"]["checkpoint"]
    for name in DIMENSIONS:
        if name in file and name != "checkpoints":
            groups[name] = read_group(path, name, file[name], count)
    return manifest, options, groups


def read_run(path):
    digest = checked_seal(path)
    try:
        with h5py.File(path, "r") as file:
            return Run(path, digest, *read_content(path, file))
    except (OSError, KeyError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise RecordError(f"{path}: cannot be read as a run file ({reason}); measure it again")


def read_verdicts(path):
    """The verdicts by id."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"{path}: is missing; run `hone judge` first")
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: is no JSON text ({error}); run `hone judge` again")
    verdicts = content.get("verdicts") if isinstance(content, dict) else None
    if not isinstance(verdicts, list) or content.get("schema") != VERDICT_SCHEMA:
        raise RecordError(f"{path}: is no verdict file of schema {VERDICT_SCHEMA}; run "
                          "`hone judge` again")
    for verdict in verdicts:
        for field in VERDICT_FIELDS:
            if field not in verdict:
                raise RecordError(f"{path}: a verdict has no field {field}; run `hone judge` again")
        if verdict["outcome"] not in OUTCOMES:
            raise RecordError(f"{path}: field outcome = {verdict['outcome']}, expected "
                              f"{', '.join(OUTCOMES)}; run `hone judge` again")
    return {verdict["id"]: verdict for verdict in verdicts}


def read_study(folder):
    """Everything in a study folder."""
    folder = Path(folder)
    paths = sorted((folder / "runs").glob("*.h5"))
    if not paths:
        raise RecordError(f"{folder / 'runs'}: holds no .h5 file; run `hone run` first")
    runs, unmeasured = [], None
    for path in paths:
        try:
            runs.append(read_run(path))
        except NothingMeasured as error:  # a run that diverged before its first checkpoint
            unmeasured = error
    if not runs:
        raise unmeasured
    seen = {}
    for run in runs:
        other = seen.setdefault(run.manifest["run_id"], run.path)
        if other != run.path:
            raise RecordError(f"{run.path}: has the same run_id as {other}; remove one of them")
    settings_path = folder / "study.toml"
    try:
        settings_text = settings_path.read_text(encoding="utf-8")
        settings = tomllib.loads(settings_text)
    except FileNotFoundError:
        raise RecordError(f"{settings_path}: is missing; copy the study file there")
    except (OSError, ValueError) as error:
        raise RecordError(f"{settings_path}: is no TOML text ({error}); mend it")
    about = settings.get("study", {})
    if not isinstance(about, dict) or "name" not in about:
        raise RecordError(f"{settings_path}: has no study.name; copy the study file there")
    return Study(folder, str(about["name"]), str(about.get("title", "")), runs,
                 read_verdicts(folder / "verdict.json"), settings_text)


def runs_of(points):
    """The runs behind rows, each once."""
    return list({id(p.run): p.run for p in points}.values())


def rows(study, group, names, along=None):
    """One namespace per checkpoint, or per checkpoint and entry of dimension `along`.

    `names` are arrays of the group; each row also says run, size, seed, tokens and variant.
    """
    found = []
    for run in study.drawn_runs(group):
        points = run.groups["checkpoints"]
        arrays = {name: run.array(group, name) for name in names}
        entries = run.groups[group]["lengths"].get(along, 0) if along else 1
        for i in range(points["lengths"]["checkpoint"]):
            for j in range(entries):
                values = {}
                for name, array in arrays.items():
                    dims = DIMENSIONS[group][name]
                    index = tuple(i if dim == "checkpoint" else j if dim == along else slice(None)
                                  for dim in dims)
                    values[name] = array[index]
                found.append(SimpleNamespace(run=run, size=run.size, seed=run.manifest["seed"],
                                             tokens=points["tokens"][i],
                                             variant=points["variant"][i], **values))
    return found
