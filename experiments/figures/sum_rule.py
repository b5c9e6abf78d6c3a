"""Figure: the exponents of loss, curvature and damage against the sum rules of solvable models."""

from matplotlib.lines import Line2D

import style
from intervals import draw_intervals, finish, threshold
from records import Absent, is_number

LOOKS = {"": ("all checkpoints", "#000000", "o"), "early.": ("early", "#56B4E9", "s"), "late.": ("late", "#D55E00", "^")}
EXPONENTS = {"gamma": "tr H", "beta": "fall of the loss", "damage": "damage", "step2": "squared step"}
RELATIONS = {"sum": "tr H + loss - 1", "absmax_gap": "damage - 2 tr H", "fixed_step_gap": "damage - step² - tr H",
             "damage_gap": "damage - step² - weighted trace", "spectrum_gap": "spectrum - 1 - loss"}


def entry_of(study, key):
    """The finding, with the sum of the exponents counted from 1."""
    entry = study.finding(f"q25.{key}")
    if entry is None or not key.endswith("sum"):
        return entry
    moved = {name: entry[name] - 1 if is_number(entry[name]) else None for name in ("estimate", "low", "high")}
    return entry | moved


def sum_rule_figure(study):
    if study.finding("q25.sum") is None:
        raise Absent("no verdict compares the exponents of trace and loss")
    looks = {prefix: look for prefix, look in LOOKS.items() if study.finding(f"q25.{prefix}sum")}
    figure = style.plt.figure(figsize=(style.WIDTH, 3))
    handles = [Line2D([], [], color=colour, marker=mark, ms=5, lw=1.6, label=label)
               for label, colour, mark in looks.values()]
    grid = style.panels_below_legend(figure, 1, 2, handles, 3, 0.2)
    band = threshold(study, "Q25", "q25_tolerance")
    for column, (names, what) in enumerate([(EXPONENTS, "exponent of the tokens"), (RELATIONS, "departure from the rule")]):
        ax = figure.add_subplot(grid[1, column])
        shown = [name for name in names if any(entry_of(study, prefix + name) for prefix in looks)]
        for i, (prefix, (_, colour, mark)) in enumerate(looks.items()):
            shift = 0.2 * (i - (len(looks) - 1) / 2)
            draw_intervals(ax, [entry_of(study, prefix + name) for name in shown], colour, shift, mark)
        finish(ax, [names[name] for name in shown], band if column else None)
        ax.set_xlabel(what)
    caption = (
        "Exponents of the training tokens on the same trajectories (left) and what rules of solvable models leave of them "
        "(right), as verdict Q25 gives them, with intervals, over "
        f"{style.runs_text(study.drawn_runs('checkpoints'))}. The two-layer linear net has 0 in the first two rows on the "
        "right; fixed features have 0 for tr H."
        f"{' Grey band: departures that count as none for the sum.' if band else ''}")
    return style.Drawing(figure, "Does the sharpness grow as the fall of the loss says?", caption, ["Q25"])
