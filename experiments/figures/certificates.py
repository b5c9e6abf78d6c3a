"""The report's section on certificates: what each spectrum was held against, and what failed."""

import numpy as np

from markup import plain_list, table, text

MEANINGS = {
    "C0a": "symmetry |u'Hv - v'Hu| / (|u| |Hv|)",
    "C0b": "repeatability: entries that differ between two equal products",
    "C0c": "products against differences of the gradient, relative",
    "C1a": "orthogonality max |V'V - I|",
    "C1b": "Lanczos recurrence, relative to the norm",
    "C2a": "recomputed residual |Hy - λy| over the norm",
    "C2c": "reach of the rest of the spectrum beyond the found pairs, over the norm",
    "C3a": "quadrature identities of the density",
    "C3b": "half-sample and half-steps distances of the density, over its range",
    "C3c": "trace and Frobenius norm of the density against its moments",
    "C4": "two estimators of the trace, in combined standard errors (limit: Welch)",
    "C5": "trace between token windows, sd over mean (no limit)",
}


def certified_runs(study):
    """Runs that recorded certificates: (run, kinds, values, limits, passed)."""
    found = []
    for run in study.runs:
        group = run.groups.get("curvature", {})
        if "certificate" in group:
            found.append((run, group["certificate"], *(run.array("curvature", f"certificate_{part}")
                                                      for part in ("value", "limit", "passed"))))
    return found


def failures(study):
    """How many of how many certificates failed, all runs and checkpoints."""
    runs = certified_runs(study)
    measured = sum(int(np.isfinite(passed).sum()) for *_, passed in runs)
    return sum(int((passed == 0).sum()) for *_, passed in runs), measured


def cell(values, limits, passed):
    """The worst value of one kind over the checkpoints of a run, with the class of its cell."""
    known = np.isfinite(passed)
    if not known.any():
        return "–"
    failed = int((passed[known] == 0).sum())
    share = np.where(np.isfinite(limits), values / np.where(limits > 0, limits, 1), values)
    worst = int(np.argmax(np.where(known, np.where(passed == 0, np.inf, share), -np.inf)))
    shown = f"{values[worst]:.2g}"
    if np.isfinite(limits[worst]):
        shown += f" ≤ {limits[worst]:.2g}"
    if not failed:
        return shown
    return f"FAILED {failed}/{int(known.sum())}<br>{shown.replace('≤', '>')}", "num failed"


def warning(study):
    """A paragraph for the top of the report, empty when nothing failed."""
    failed, measured = failures(study)
    if not failed:
        return ""
    return (f"<p class=warning>{failed} of {measured} certificates of the spectra failed. The "
            "numbers that rest on them are marked in <a href='#certificates'>the table of "
            "certificates</a>; do not quote them without it.</p>")


def section(study):
    runs = certified_runs(study)
    if not runs:
        return ""
    kinds = runs[0][1]
    lines = []
    for run, names, values, limits, passed in runs:
        places = [names.index(k) if k in names else None for k in kinds]
        lines.append([text(run.manifest["run_id"])] + [
            "–" if i is None else cell(values[:, i], limits[:, i], passed[:, i]) for i in places])
    failed, measured = failures(study)
    return ("<section id=certificates><h2>Certificates of the spectra</h2>"
            f"<p>{measured - failed} of {measured} passed, over all checkpoints. Each cell is the "
            "worst checkpoint of a run.</p>"
            + table([("run", "")] + [(text(kind), "num") for kind in kinds], lines)
            + plain_list(f"<b>{text(k)}</b> <span class=quiet>{text(MEANINGS.get(k, ''))}</span>"
                         for k in kinds) + "</section>")
