"""The report's section on certificates: what each spectrum was held against, and what failed."""

from html import escape

import numpy as np

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
    """The worst value of one kind over the checkpoints of a run."""
    known = np.isfinite(passed)
    if not known.any():
        return "<td class=num>–</td>"
    failed = int((passed[known] == 0).sum())
    share = np.where(np.isfinite(limits), values / np.where(limits > 0, limits, 1), values)
    worst = int(np.argmax(np.where(known, np.where(passed == 0, np.inf, share), -np.inf)))
    shown = f"{values[worst]:.2g}"
    if np.isfinite(limits[worst]):
        shown += f" ≤ {limits[worst]:.2g}"
    if not failed:
        return f"<td class=num>{shown}</td>"
    return (f"<td class='num failed'>FAILED {failed}/{int(known.sum())}<br>"
            f"{shown.replace('≤', '>')}</td>")


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
    heads = "".join(f"<th title=\"{escape(MEANINGS.get(kind, ''))}\">{escape(kind)}</th>"
                    for kind in kinds)
    lines = []
    for run, names, values, limits, passed in runs:
        cells = "".join(cell(values[:, names.index(k)], limits[:, names.index(k)],
                             passed[:, names.index(k)]) if k in names else "<td>–</td>"
                        for k in kinds)
        lines.append(f"<tr><td>{escape(str(run.manifest['run_id']))}</td>{cells}</tr>")
    meanings = "".join(f"<li><b>{escape(k)}</b> {escape(MEANINGS.get(k, ''))}</li>" for k in kinds)
    failed, measured = failures(study)
    return ("<section id=certificates><h2>Certificates of the spectra</h2>"
            f"<p>{measured - failed} of {measured} passed, over all checkpoints. Each cell is the "
            "worst checkpoint of a run.</p>"
            f"<div class=scroll><table><tr><th>run</th>{heads}</tr>{''.join(lines)}</table></div>"
            f"<ul class='plain quiet'>{meanings}</ul></section>")
