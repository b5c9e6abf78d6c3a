"""Figure: what noise of equal predicted rise costs in different parts of the spectrum."""

from collections import defaultdict

import numpy as np
from matplotlib.lines import Line2D

import style
from records import Absent, rows, runs_of

COLOURS = {"top": "#D55E00", "next": "#E69F00", "random": "#0072B2", "complement": "#009E73",
           "negative": "#CC79A7"}
PANELS = 2  # the fewest tokens and the most


def points_of(study):
    """Points of transformer checkpoints: space, predicted rise, measured over predicted rise."""
    found = []
    for row in rows(study, "injection", ["rise_nats", "predicted_nats", "delta_nats"],
                    kinds=("trunk",)):
        for i, space in enumerate(row.run.groups["injection"]["subspace"]):
            for j, rise in enumerate(row.rise_nats):
                predicted = row.predicted_nats[i, j]
                if np.isfinite(predicted) and predicted != 0:
                    found.append((row, space, float(rise), row.delta_nats[i, j] / predicted))
    if not found:
        raise Absent("no run injected noise of equal predicted rise")
    return found


def at_tokens(points):
    """{tokens: points} of the fewest and the most tokens."""
    by_tokens = defaultdict(list)
    for point in points:
        by_tokens[point[0].tokens].append(point)
    ends = sorted(by_tokens)
    return {d: by_tokens[d] for d in sorted({ends[0], ends[-1]})}


def draw_panel(ax, points, tolerance):
    """Medians over runs with the range of the runs."""
    groups = defaultdict(list)
    for _, space, rise, ratio in points:
        groups[space, rise].append(ratio)
    if tolerance:
        ax.axhspan(1 - tolerance, 1 + tolerance, color="#dddddd", lw=0, zorder=0)
    ax.axhline(1, color=style.FAINT, lw=0.9, zorder=0.5)
    for space, colour in COLOURS.items():
        rises = sorted(rise for name, rise in groups if name == space)
        if not rises:
            continue
        middle = [np.median(groups[space, rise]) for rise in rises]
        ax.vlines(rises, [min(groups[space, r]) for r in rises], [max(groups[space, r]) for r in rises],
                  color=colour, lw=0.9, alpha=0.7)
        ax.plot(rises, middle, "o-", color=colour, ms=3.5, lw=1.2)
    ax.set_xscale("log")
    ax.set_xlabel("predicted rise (nats)")


def injection_figure(study):
    points = points_of(study)
    panels = at_tokens(points)
    verdict = study.verdict("Q11") or {}
    tolerance = next((t["value"] for t in verdict.get("thresholds", []) if t["name"] == "q11_tolerance"), None)
    figure = style.plt.figure(figsize=(style.WIDTH, 3.6))
    present = {point[1] for point in points}
    handles = [Line2D([], [], marker="o", color=colour, ms=3.5, lw=1.2, label=space)
               for space, colour in COLOURS.items() if space in present]
    grid = style.panels_below_legend(figure, 1, len(panels), handles, len(handles), 0.1)
    first = None
    for i, (tokens, some) in enumerate(panels.items()):
        ax = figure.add_subplot(grid[1, i], sharey=first)
        draw_panel(ax, some, tolerance)
        ax.set_title(f"{style.count_text(tokens)} tokens")
        if first is None:
            ax.set_ylabel("measured over predicted rise")
            first = ax
    band = " Grey: ratios that count as 1." if tolerance else ""
    caption = (
        "Noise in five parts of the spectrum, each draw as long as its own curvature asks for, so that second order "
        "predicts the same rise for all: measured over predicted rise at the fewest and at the most training tokens. "
        "Marks are medians over runs, lines their range; in negative directions the loss falls. "
        f"{style.runs_text(runs_of([point[0] for point in points]))}.{band}")
    return style.Drawing(figure, "Where second order ends, by direction", caption, ["Q11"])
