"""Figure: damage where the trunk's own windows are left: after fine-tuning on other data, and on
the windows of another corpus."""

import numpy as np
from matplotlib.lines import Line2D

import style
from growth import medians_over_seeds
from records import Absent, rows, runs_of


def fitting_bits(points):
    """4 bits where they were measured, else the least from 3 up."""
    bits = sorted({p.bits for p in points if p.bits >= 3 and np.isfinite(p.delta_nats)})
    if not bits:
        raise Absent("no finite δ at 3 bits or more")
    return 4 if 4 in bits else bits[0]


def at_bits(points, bits):
    """Points at these bits with what medians_over_seeds and LogPoints need, over trunk tokens."""
    chosen = [p for p in points if p.bits == bits]
    for p in chosen:
        p.value, p.bar, p.tokens = p.delta_nats, 2 * p.delta_se_nats, p.branched_at
    return chosen


def trunk_of(study, runs):
    """δ on the trunk's own windows in these runs."""
    points = rows(study, "ptq", ["bits", "delta_nats", "delta_se_nats"], "bits", kinds=("trunk",))
    return [p for p in points if p.run in runs]


def tuned_pair(study):
    """(title, trunk points, tuned points), at the same tokens of the trunk."""
    tuned = rows(study, "ptq", ["bits", "delta_nats", "delta_se_nats"], "bits", kinds=("tuned",))
    bits = fitting_bits(tuned)
    return (f"after fine-tuning, δ at {bits:g} bits",
            at_bits(trunk_of(study, runs_of(tuned)), bits), at_bits(tuned, bits))


def shifted_pair(study):
    """(title, δ on the trunk's windows, δ on the other corpus's), of the same weights."""
    shifted = rows(study, "shift", ["bits", "delta_nats", "delta_se_nats"], "bits",
                   kinds=("trunk",))
    bits = fitting_bits(shifted)
    return (f"on another corpus, δ at {bits:g} bits",
            at_bits(trunk_of(study, runs_of(shifted)), bits), at_bits(shifted, bits))


def pairs_of(study):
    """Those of the two that were measured, with the word for their open marks."""
    found, reasons = [], []
    for make, word in ((tuned_pair, "fine-tuned"), (shifted_pair, "another corpus")):
        try:
            found.append((make(study), word))
        except Absent as reason:
            reasons.append(str(reason))
    if not found:
        raise Absent("; ".join(reasons))
    return found


def draw_pair(ax, title, own, other, colours):
    cloud = style.LogPoints()
    for points, mark, line in ((own, "o", "-"), (other, "D", ":")):
        for p in points:
            cloud.add(p.tokens / p.size, p.value, p.bar, colours[p.size], mark, points is own)
        groups = {}
        for p in points:
            groups.setdefault(p.size, []).append(p)
        for size, group in groups.items():
            medians = dict(entry for entries in medians_over_seeds(group).values()
                           for entry in entries)
            ax.plot([d / size for d in medians], list(medians.values()), line,
                    color=colours[size], lw=1.2, zorder=1.5)
    ax.set_xscale("log")
    cloud.draw(ax)
    style.log_axis(ax.xaxis), style.log_axis(ax.yaxis)
    ax.set_title(title)
    ax.set_xlabel("trunk tokens per parameter D/N")
    return cloud


def mark_handles(word):
    return [Line2D([], [], marker=mark, ls=line, color=style.INK, ms=4, lw=1.2, mfc=fill,
                   label=label) for mark, line, fill, label in
            (("o", "-", style.INK, "trunk, own corpus"), ("D", ":", "white", word))]


def transfer_figure(study):
    pairs = pairs_of(study)
    points = [p for (_, own, other), _ in pairs for p in own + other]
    colours = style.size_colours(p.size for p in points)
    handles = [Line2D([], [], color=colour, lw=3, label=f"{style.count_text(size)} params")
               for size, colour in colours.items()]
    figure = style.plt.figure(figsize=(style.WIDTH, 3.8))
    grid = style.panels_below_legend(figure, 1, len(pairs), handles, 6, 0.06)
    total = style.LogPoints()
    for k, ((title, own, other), word) in enumerate(pairs):
        ax = figure.add_subplot(grid[1, k])
        cloud = draw_pair(ax, title, own, other, colours)
        total.at_floor += cloud.at_floor
        total.not_finite += cloud.not_finite
        ax.legend(handles=mark_handles(word), loc="upper left")
        if k == 0:
            ax.set_ylabel("damage δ (nats per token)")
    caption = (
        "Loss rise δ of rounding the weights, against the trunk's tokens per quantizable parameter, "
        f"both axes logarithmic, {style.runs_text(runs_of(points))}. One mark per run with a bar "
        "of 2 standard errors, lines join medians over seeds. Filled: the trunk on held-out windows "
        "of its own corpus. Open: the same weights after training on other data, or the same "
        "rounded weights on held-out windows of another corpus.")
    return style.Drawing(figure, "Damage after fine-tuning and on another corpus",
                         caption + total.remarks(), ["Q5", "Q1"])
