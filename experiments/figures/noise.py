"""Figure: damage of injected noise over its second-order prediction, by subspace."""

from collections import defaultdict

import numpy as np

import style
from records import Absent, is_number

WIDEST = (-1.0, 3.0)  # ratios beyond stand at the edge


def ratios(study):
    """{subspace: [(place of the amplitude in 0..1, ratio, two standard errors)]}, the runs, and
    the number of pairs without a usable ratio."""
    found, shown, lost = defaultdict(list), {}, 0
    for run in study.drawn_runs("noise"):
        delta, error, predicted = (run.array("noise", name) for name in
                                   ("delta_nats", "delta_se_nats", "predicted_nats"))
        amplitudes = run.groups["noise"]["lengths"].get("amplitude", 0)
        for (i, s, k), value in np.ndenumerate(delta):
            if not (np.isfinite(value) and predicted[i, s, k] > 0):
                lost += 1
                continue
            shown[id(run)] = run
            found[run.groups["noise"]["subspace"][s]].append(
                (k / max(amplitudes - 1, 1), value / predicted[i, s, k],
                 2 * error[i, s, k] / predicted[i, s, k]))
    if not found:
        raise Absent("no transformer run has noise with a finite δ and a prediction above zero")
    return found, list(shown.values()), lost


def axis_limits(found):
    """All ratios with their bars where they fit into WIDEST, at least 0.5 to 1.5."""
    low = min(r - (bar if is_number(bar) else 0) for p in found.values() for _, r, bar in p)
    high = max(r + (bar if is_number(bar) else 0) for p in found.values() for _, r, bar in p)
    return max(WIDEST[0], min(low - 0.05, 0.5)), min(WIDEST[1], max(high + 0.05, 1.5))


def draw_column(ax, place, points, colour):
    """One subspace; returns the number of ratios beyond the axis."""
    amplitude, ratio, bar = np.array(points, dtype=float).T
    low, high = ax.get_ylim()
    spread = (np.arange(len(points)) * 0.618) % 1
    x = place - 0.36 + 0.50 * amplitude + 0.10 * spread
    inside = (ratio >= low) & (ratio <= high)
    barred = inside & np.isfinite(bar)
    ax.vlines(x[barred], np.clip(ratio - bar, low, high)[barred],
              np.clip(ratio + bar, low, high)[barred], color=colour, lw=0.8, alpha=0.35, zorder=1)
    ax.plot(x[inside], ratio[inside], "o", ms=3, color=colour, alpha=0.55, mew=0, zorder=2)
    for beyond, edge, mark in ((ratio > high, high, "^"), (ratio < low, low, "v")):
        if beyond.any():
            ax.plot(x[beyond], np.full(beyond.sum(), edge), mark, mfc="none", mec=colour, ms=5,
                    clip_on=False, zorder=3)
    return int((~inside).sum())


def draw_estimate(ax, place, entry):
    """The verdict's mean ratio with its interval, right of the points."""
    x, limits = place + 0.36, ax.get_ylim()
    if is_number(entry["low"]) and is_number(entry["high"]):
        ax.plot([x, x], np.clip([entry["low"], entry["high"]], *limits), "-", color=style.INK,
                lw=1.8, zorder=4)
    ax.plot([x], [np.clip(entry["estimate"], *limits)], "D", ms=5, color=style.INK,
            zorder=5)
    ax.annotate(f"{entry['estimate']:.2f}", (x, entry["estimate"]), xytext=(5, 0),
                textcoords="offset points", va="center", fontsize=7.5, annotation_clip=True)


def noise_figure(study):
    found, runs, lost = ratios(study)
    names = [n for n in style.SUBSPACE_COLOURS if n in found] + sorted(
        n for n in found if n not in style.SUBSPACE_COLOURS)
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 3.8))
    ax.axhline(1, color=style.FAINT, lw=0.9, zorder=0)
    ax.set_ylim(axis_limits(found))
    beyond, has_estimates = 0, False
    for place, name in enumerate(names):
        beyond += draw_column(ax, place, found[name], style.SUBSPACE_COLOURS.get(name, style.INK))
        entry = study.finding(f"q4.ratio.{name}")
        if entry:
            draw_estimate(ax, place, entry)
            has_estimates = True
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.55, len(names) - 0.35)
    ax.set_ylabel("measured / predicted damage")
    ax.set_xlabel("subspace of the injected noise")
    caption = (
        "Loss rise of injected noise over its second-order prediction (a pure number), "
        f"{style.runs_text(runs)}, one dot per checkpoint and amplitude with a bar of 2 standard "
        "errors; in each column the noise energy grows from left to right. Grey line: 1.")
    if has_estimates:
        caption += " Black: the mean of verdict Q4 with its interval."
    if beyond:
        caption += (f" Open triangles at the edges: {beyond} ratio{'s' * (beyond != 1)} beyond "
                    "the axis.")
    if lost:
        caption += (f" Not drawn: {lost} measurement{'s' * (lost != 1)} without a finite δ or a "
                    "prediction above zero.")
    return style.Drawing(figure, "Injected noise by subspace", caption, ["Q4"])
