"""Figure: damage of models with experts against dense ones, and of single experts against load."""

import numpy as np

import style
from records import Absent, is_number, rows

LINES = {"": ("damage", "#0072B2"), "predicted.": ("predicted from curvature", "#009E73"),
         "residual.": ("damage at equal prediction", "#D55E00")}
SIZES = {"active": "equal active size", "total": "equal total size"}


def contrasts_of(study):
    """[(size, part, entry)]: ln of damage with experts over dense, and its two parts."""
    found = [(size, part, study.finding(f"q18.{part}{size}")) for size in SIZES for part in LINES]
    found = [f for f in found if f[2]]
    if not found:
        raise Absent("no verdict compares models with experts and dense ones")
    return found


def loads_of(study):
    """[(load, damage over the mean of its layer)] of every expert, checkpoint and layer."""
    layers = {}
    for row in rows(study, "experts", ["layer", "load", "delta_nats"], "entry", True, ("trunk",)):
        key = (id(row.run), row.tokens, int(row.layer))
        layers.setdefault(key, []).append((row.load, row.delta_nats))
    points = []
    for experts in layers.values():
        mean = np.mean([d for _, d in experts])
        if mean > 0:
            points += [(load, d / mean) for load, d in experts if load > 0]
    return points


def draw_contrasts(ax, found):
    names = []
    for place, (size, part, entry) in enumerate(reversed(found)):
        label, colour = LINES[part]
        if is_number(entry["low"]) and is_number(entry["high"]):
            ax.plot([entry["low"], entry["high"]], [place, place], "-", color=colour, lw=1.4)
        ax.plot([entry["estimate"]], [place], "o", color=colour, ms=5.5)
        names.append(f"{label}, {SIZES[size]}")
    ax.axvline(0, color=style.FAINT, lw=0.8, zorder=0)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("ln, with experts over dense")


def experts_figure(study):
    found = contrasts_of(study)
    try:
        points = loads_of(study)
    except Absent:
        points = []
    figure, axes = style.plt.subplots(1, 2 if points else 1, squeeze=False,
                                      figsize=(style.WIDTH, 2.8))
    draw_contrasts(axes[0][0], found)
    if points:
        ax = axes[0][1]
        ax.plot(*zip(*points), "o", color="#0072B2", ms=3, alpha=0.5)
        ax.axhline(1, color=style.FAINT, lw=0.8, zorder=0)
        ax.set_xscale("log")
        style.log_axis(ax.xaxis)
        ax.set_xlabel("tokens that reach an expert over their mean")
        ax.set_ylabel("its damage over the mean of its layer")
    caption = (
        "Left: ln of the damage of models with experts over that of dense ones at equal tokens, "
        "bits, seed and training, what curvature predicts of it and what is left, as verdict Q18 "
        "gives them. Dense models are as large as the parameters that a token passes, or as all "
        "parameters." + (" Right: damage of one expert rounded alone against the tokens that reach "
                         "it, every expert of every checkpoint." if points else "")
        + f" {style.runs_text(study.drawn_runs('ptq', True))}.")
    return style.Drawing(figure, "Experts against dense models", caption, ["Q18"])
