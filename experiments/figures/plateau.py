"""Figure: the trace over tokens at several rates and batches, and its level over lr/√batch."""

from collections import defaultdict

import numpy as np
from matplotlib.lines import Line2D

import growth
import style
from records import Absent, is_number, runs_of

MARKS = "os^DPvX<>h"


def setting_of(run):
    """(peak rate, sequences per update) of a run."""
    return run.options.get("model.lr"), run.options.get("train.batch")


def trunks_of(study):
    """{size: {(rate, batch): {seed: [(tokens, trace)]}}} of trunks at a constant rate, of the sizes
    that were trained with several settings."""
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    points = [p for p in growth.sharpness_points(study, "trace", all_arms=True)
              if p.kind == "trunk" and p.run.schedule == "constant" and all(setting_of(p.run))
              and np.isfinite(p.value) and p.value > 0]
    for p in points:
        found[p.size][setting_of(p.run)][p.run.path].append((p.tokens, p.value))
    several = {size: settings for size, settings in found.items() if len(settings) > 1}
    if not several:
        raise Absent("no size was trained at a constant rate with two rates or two batch sizes")
    return several, runs_of([p for p in points if p.size in several])


def levels_of(settings):
    """{setting: [trace of each run]} at the most tokens that all runs of a size have reached."""
    common = min(max(d for d, _ in line) for runs in settings.values() for line in runs.values())
    levels = {}
    for setting, runs in settings.items():
        levels[setting] = [
            float(np.exp(np.interp(np.log(common), *np.log(np.array(sorted(line)).T))))
            for line in runs.values()]
    return common, levels


def looks_of(trunks):
    """{setting: (colour by lr/√batch, mark)}: light for a high rate on a small batch."""
    settings = sorted({s for of_size in trunks.values() for s in of_size},
                      key=lambda s: s[0] / np.sqrt(s[1]))
    places = np.linspace(0.05, 0.8, len(settings))
    return {s: (style.matplotlib.colors.to_hex(style.plt.cm.plasma(p)), MARKS[k % len(MARKS)])
            for k, (s, p) in enumerate(zip(settings, places))}


def draw_courses(ax, trunks, looks):
    for settings in trunks.values():
        for setting, runs in settings.items():
            colour, mark = looks[setting]
            for line in runs.values():
                ax.plot(*np.array(sorted(line)).T, marker=mark, ms=3, lw=0.9, color=colour)
    ax.set_xscale("log"), ax.set_yscale("log")
    ax.set_xlabel("training tokens D")
    ax.set_ylabel(growth.LABELS["trace"])


def draw_levels(ax, trunks, looks, exponent):
    """The levels of each size, with the verdict's exponent through their middle."""
    for settings in trunks.values():
        _, levels = levels_of(settings)
        middle = []
        for setting, traces in levels.items():
            colour, mark = looks[setting]
            x = setting[0] / np.sqrt(setting[1])
            ax.plot([x] * len(traces), traces, mark, color=colour, ms=5)
            middle += [(np.log(x), np.log(trace)) for trace in traces]
        if exponent:
            pivot = np.exp(np.mean(middle, axis=0))
            ends = [np.exp(f(x for x, _ in middle)) for f in (min, max)]
            slopes = [exponent[k] if is_number(exponent[k]) else None
                      for k in ("estimate", "low", "high")]
            growth.draw_fan(ax, ends, pivot, slopes)
    ax.set_xscale("log"), ax.set_yscale("log")
    ax.set_xlabel("lr / √batch")


def plateau_figure(study):
    trunks, runs = trunks_of(study)
    looks = looks_of(trunks)
    exponent = study.finding("q10.exponent")
    handles = [Line2D([], [], marker=mark, color=colour, lw=0.9, ms=4, label=f"lr {rate:g}, batch {batch:g}")
               for (rate, batch), (colour, mark) in looks.items()]
    figure = style.plt.figure(figsize=(style.WIDTH, 3.9))
    grid = style.panels_below_legend(figure, 1, 2, handles, 4, 0.1 * -(-len(handles) // 4))
    courses, levels = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    draw_courses(courses, trunks, looks)
    draw_levels(levels, trunks, looks, exponent)
    for ax in (courses, levels):
        style.log_axis(ax.xaxis), style.log_axis(ax.yaxis)
    law = (" Dashed: the exponent that verdict Q10 gives, grey its interval, one line per size."
           if exponent else "")
    caption = (
        "Left: trace of the Hessian against training tokens, one line per run, at several constant "
        "learning rates and batch sizes. Right: the same at the most tokens that all runs of a size "
        f"have reached, against the noise scale lr/√batch; {style.runs_text(runs)}. If it sets the "
        f"level, the marks of a size fall on one line.{law}")
    return style.Drawing(figure, "What sets the level of the trace", caption, ["Q10"])
