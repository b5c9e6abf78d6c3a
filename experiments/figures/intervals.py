"""Estimates with their intervals as rows of a panel, read from the findings of a verdict."""

import style
from records import is_number


def draw_intervals(ax, rows, colour, shift=0.0, mark="o"):
    """One mark per entry of `rows`, from top to bottom; entries without an interval have no line."""
    for place, entry in enumerate(rows):
        if entry is None:
            continue
        if is_number(entry["low"]) and is_number(entry["high"]):
            ax.plot([entry["low"], entry["high"]], [place + shift] * 2, color=colour, lw=1.6)
        ax.plot(entry["estimate"], place + shift, mark, color=colour, ms=5)


def finish(ax, labels, band=None):
    """Names of the rows, a line at 0 and a grey band around it where the rule has one."""
    if band:
        ax.axvspan(-band, band, color="#dddddd", lw=0, zorder=0)
    ax.axvline(0, color=style.FAINT, lw=0.9, zorder=0.5)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(labels) - 0.5, -0.5)


def threshold(study, question, name):
    """Of a verdict; None where it has no such threshold."""
    verdict = study.verdict(question) or {}
    return next((t["value"] for t in verdict.get("thresholds", []) if t["name"] == name), None)
