"""Reads what a study left: run files, verdict.json, study.toml. Checks shapes, computes nothing.

A run file is refused unless its seal (SHA-256 of all bytes before it) holds, as in sim/record.
"""

import hashlib
import io
import json
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np

from schema import (COORDINATES, DIMENSIONS, MANIFEST_NEEDED, SCHEMA_VERSION, TEXTS,
                    VERDICT_SCHEMA)

SEAL_PREFIX = b"\nhone.sha256="
SEAL_DIGITS = 64
VERDICT_FIELDS = ("id", "question", "hypothesis", "outcome", "answer", "prose", "estimate", "low", "high",
                  "level", "n", "rule", "thresholds", "controls", "findings", "estimate_key",
                  "estimate_label", "unit", "distance_se", "p_value", "p_holm", "is_primary")
OUTCOMES = ("supported", "refuted", "inconclusive")
MAIN_ARM = "main"  # the runs that verdicts take their main rows from; the others are contrasts
MAIN_KINDS = ("trunk", "average", "cooldown")


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

    @property
    def arm(self):
        return self.options.get("model.arm", MAIN_ARM)

    @property
    def schedule(self):
        """Of the learning rate along the trunk."""
        return self.options.get("model.schedule", "constant")

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
    verdict_sha256: str
    settings_text: str

    def drawn_runs(self, group, all_arms=False):
        """The transformer runs that have a group, of the main arm unless all are asked for;
        verdicts are about transformers alone."""
        runs = [r for r in self.runs if r.is_transformer and group in r.groups
                and (all_arms or r.arm == MAIN_ARM)]
        if not runs:
            of_arm = "" if all_arms else " of the main arm"
            raise Absent(f"no transformer run{of_arm} has the group /{group}")
        return runs

    def verdict(self, question):
        return self.verdicts.get(question)

    def finding(self, key):
        """A number behind a verdict by its key, "q3.slope", or None when it is absent or null."""
        verdict = self.verdicts.get(key.split(".")[0].upper()) or {}
        entries = [*verdict.get("findings", []), verdict]  # the estimate of a verdict has a key too
        return next((e for e in entries if e.get("key", e.get("estimate_key")) == key
                     and is_number(e["estimate"])), None)

    def findings(self, group):
        """[(rest of the key, entry)] of all numbers whose keys begin with "group.", not null."""
        verdict = self.verdicts.get(group.split(".")[0].upper()) or {}
        return [(entry["key"].removeprefix(group + "."), entry)
                for entry in verdict.get("findings", [])
                if entry["key"].startswith(group + ".") and is_number(entry["estimate"])]


def is_number(value):
    return isinstance(value, (int, float)) and math.isfinite(value)


def plain(value):
    """An HDF5 attribute as a Python value."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


def sealed_bytes(path):
    """The bytes of a file whose seal was found to hold."""
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
    return data


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
    if is_text != ((group, name) in TEXTS):
        wanted = "text" if (group, name) in TEXTS else "numbers"
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
    if not 1 <= version <= SCHEMA_VERSION:
        raise RecordError(f"{path}: attribute schema_version = {version}, expected at most "
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
    points = groups["checkpoints"]
    points.setdefault("branched_at", points["tokens"])
    count = points["lengths"]["checkpoint"]
    for name in DIMENSIONS:
        if name in file and name != "checkpoints":
            groups[name] = read_group(path, name, file[name], count)
    return manifest, options, groups


def read_run(path):
    data = sealed_bytes(path)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return Run(path, hashlib.sha256(data).hexdigest(), *read_content(path, file))
    except (OSError, KeyError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise RecordError(f"{path}: cannot be read as a run file ({reason}); measure it again")


def read_verdicts(path):
    """The verdicts by id, and the SHA-256 of their file."""
    try:
        data = path.read_bytes()
        content = json.loads(data.decode("utf-8"))
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
    return {verdict["id"]: verdict for verdict in verdicts}, hashlib.sha256(data).hexdigest()


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
                 *read_verdicts(folder / "verdict.json"), settings_text)


def runs_of(points):
    """The runs behind rows, each once."""
    return list({id(p.run): p.run for p in points}.values())


def rows(study, group, names, along=None, all_arms=False, kinds=MAIN_KINDS):
    """One namespace per checkpoint, or per checkpoint and entry of dimension `along`.

    `names` are arrays of the group; each row also says run, size, seed, tokens, variant, kind and
    branched_at. Only the main arm unless all are asked for, and only checkpoints of these kinds.
    """
    found = []
    for run in study.drawn_runs(group, all_arms):
        points = run.groups["checkpoints"]
        arrays = {name: run.array(group, name) for name in names}
        dims = {name: DIMENSIONS[group][name] for name in names}
        entries = run.groups[group]["lengths"].get(along, 0) if along else 1
        for i, kind in enumerate(points["kind"]):
            for j in range(entries if kind in kinds else 0):
                place = {"checkpoint": i, along: j}
                values = {name: array[tuple(place.get(dim, slice(None)) for dim in dims[name])]
                          for name, array in arrays.items()}
                found.append(SimpleNamespace(
                    run=run, size=run.size, seed=run.manifest["seed"], kind=kind,
                    tokens=points["tokens"][i], variant=points["variant"][i],
                    branched_at=points["branched_at"][i], **values))
    return found
