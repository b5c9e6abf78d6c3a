"""Figure: accuracy on the tasks in the text against the loss of their answers, before and after
quantization."""

from collections import defaultdict

import numpy as np
from matplotlib.lines import Line2D

import style
from records import Absent, rows, runs_of

TRUNK = "#555555"
WIDTHS = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00"]


def scores_of(study):
    """{task: [(row, its place among the tasks)]} of the trunks."""
    found = defaultdict(list)
    for row in rows(study, "tasks", ["loss_nats", "accuracy", "delta_nats", "accuracy_delta"],
                    kinds=("trunk",)):
        for place, task in enumerate(row.run.groups["tasks"]["task"]):
            if np.isfinite(row.loss_nats[place]) and np.isfinite(row.accuracy[place]):
                found[task].append((row, place))
    if not found:
        raise Absent("no run was scored on tasks in its text")
    return dict(found)


def judged_bits(study, widths):
    """The widths whose scores verdict Q21 reads, widest last; all where it does not say."""
    thresholds = {t["name"]: t["value"] for t in (study.verdict("Q21") or {}).get("thresholds", [])}
    low, high = thresholds.get("ptq_bits_min", 1), thresholds.get("ptq_bits_max", 15)
    return [bits for bits in sorted(widths) if low <= bits <= high][:len(WIDTHS)]


def draw_task(ax, scores, widths):
    """The trunk as a line of each run, and its checkpoints after quantization as marks."""
    lines = defaultdict(list)
    for row, place in scores:
        lines[row.run.path].append((row.loss_nats[place], row.accuracy[place]))
        bits = list(row.run.groups["tasks"]["bits"])
        for width, colour in zip(widths, WIDTHS):
            if width in bits:
                at = bits.index(width)
                ax.plot(row.loss_nats[place] + row.delta_nats[place, at],
                        row.accuracy[place] + row.accuracy_delta[place, at], "o", color=colour, ms=3.2)
    for line in lines.values():
        ax.plot(*zip(*sorted(line)), ".-", color=TRUNK, lw=1.0, ms=3, zorder=0.8)
    ax.set_xlabel("loss of the answers (nats)")
    ax.set_ylim(-0.03, 1.03)


def tasks_figure(study):
    scores = scores_of(study)
    widths = judged_bits(study, {b for some in scores.values() for row, _ in some
                                 for b in row.run.groups["tasks"]["bits"]})
    figure = style.plt.figure(figsize=(style.WIDTH, 3.4))
    handles = [Line2D([], [], color=TRUNK, marker=".", lw=1.0, label="trunk, not quantized")]
    handles += [Line2D([], [], ls="", marker="o", color=colour, ms=4, label=f"{bits:g} bits")
                for bits, colour in zip(widths, WIDTHS)]
    grid = style.panels_below_legend(figure, 1, len(scores), handles, len(handles), 0.12)
    first = None
    for i, (task, some) in enumerate(scores.items()):
        ax = figure.add_subplot(grid[1, i], sharey=first)
        draw_task(ax, some, widths)
        ax.set_title(task)
        if first is None:
            ax.set_ylabel("share of right answers")
            first = ax
    drawn = [row for some in scores.values() for row, _ in some]
    caption = (
        "Share of fresh exercises answered right as a whole against the loss of their answers. Grey: checkpoints of the "
        "trunk, joined run by run. Colours: the same checkpoints after rounding to that many bits per weight. Marks below "
        "the grey line lose more accuracy than their loss says. "
        f"{style.runs_text(runs_of(drawn))}.")
    return style.Drawing(figure, "Does accuracy fall faster than the loss?", caption, ["Q21"])
