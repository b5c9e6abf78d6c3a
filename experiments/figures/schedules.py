"""Figure: curvature and damage over tokens under other learning-rate schedules and averages, the
strongest rival of an effect of the tokens themselves."""

from collections import defaultdict

import numpy as np
from matplotlib.lines import Line2D

import growth
import style
from records import MAIN_ARM, Absent, runs_of

CONSTANT = "constant rate"
NAMES = {"cooled": "cooled, share of D", "cooled_fixed": "cooled, fixed length",
         "ema": "average (EMA)", "lawa": "average (LAWA)"}
LOOKS = {CONSTANT: ("#000000", "o"), "cosine to its end": ("#D55E00", "X"),
         NAMES["cooled"]: ("#0072B2", "s"), NAMES["cooled_fixed"]: ("#56B4E9", "^"),
         NAMES["ema"]: ("#009E73", "D"), NAMES["lawa"]: ("#CC79A7", "P")}
OTHER_LOOKS = [("#E69F00", "v"), ("#555555", "<"), ("#8C510A", ">"), ("#5E3C99", "h")]
SIZES_DRAWN = 3


RECIPE = ("model.data", "model.lr", "train.batch", "train.weight_decay",
          "train.sam_rho", "train.gradient_penalty", "model.train_format", "model.method",
          "model.train_weight_bits", "model.train_activation_bits", "model.train_kv_bits")


def recipe_of(run):
    """What an arm must share with the main arm for the schedule to be all that differs."""
    return run.size, *(run.options.get(name) for name in RECIPE)


def family_of(point):
    """The schedule that a checkpoint stands at the end of; None where it stands amid one."""
    schedule = point.run.schedule
    if point.kind == "trunk" and schedule != "constant":
        trunk = [t for t, kind in zip(point.run.groups["checkpoints"]["tokens"],
                                      point.run.groups["checkpoints"]["kind"]) if kind == "trunk"]
        return f"{schedule} to its end" if point.tokens == max(trunk) else None
    if point.kind == "trunk":
        return CONSTANT
    if schedule != "constant":
        return None
    return NAMES.get(point.variant, point.variant.replace("_", " "))


def look_of(families):
    others = iter(OTHER_LOOKS)
    return {f: LOOKS[f] if f in LOOKS else next(others, ("#999999", "."))
            for f in [f for f in LOOKS if f in families] + sorted(families - set(LOOKS))}


def sorted_rows(points):
    """{(size, family): points} of the checkpoints that end a schedule, all else as in the main
    arm."""
    recipes = {recipe_of(p.run) for p in points if p.run.arm == MAIN_ARM}
    found = defaultdict(list)
    for p in points:
        if recipe_of(p.run) not in recipes:
            continue
        family = family_of(p)
        if family and np.isfinite(p.value):
            found[p.size, family].append(p)
    return found


def drawn_sizes(groups):
    """The sizes with most rivals of the constant rate, at most three, by ascending size."""
    rivals = {(size, family) for rows in groups for size, family in rows if family != CONSTANT}
    if not rivals:
        raise Absent("no transformer was measured under a second schedule or average")
    sizes = sorted({size for size, _ in rivals}, reverse=True)
    most = sorted(sizes, key=lambda size: -sum(s == size for s, _ in rivals))
    return sorted(most[:SIZES_DRAWN])


def draw_panel(ax, rows, size, looks):
    """The families of one size; returns the collected points."""
    cloud = style.LogPoints()
    for family, (colour, mark) in looks.items():
        points = rows.get((size, family), [])
        for p in points:
            cloud.add(p.tokens, p.value, p.bar, colour, mark, family == CONSTANT)
        at = sorted({p.tokens for p in points if p.value > 0})
        medians = [np.median([p.value for p in points if p.tokens == t and p.value > 0])
                   for t in at]
        ax.plot(at, medians, "-" if family == CONSTANT else ":", color=colour, lw=1.2, zorder=1.5)
    ax.set_xscale("log")
    cloud.draw(ax)
    style.log_axis(ax.xaxis), style.log_axis(ax.yaxis)
    return cloud


def handles_of(looks):
    return [Line2D([], [], color=colour, marker=mark, ms=4.5, lw=1.2, mec=colour,
                   ls="-" if f == CONSTANT else ":", mfc=colour if f == CONSTANT else "white",
                   label=f) for f, (colour, mark) in looks.items()]


def quantities(study):
    """[(label, {(size, family): points})] of trace and damage."""
    found = []
    if any("curvature" in r.groups for r in study.runs):
        found.append(("trace of the Hessian\n(nats / parameter unit²)",
                      sorted_rows(growth.sharpness_points(study, "trace", all_arms=True))))
    if any("ptq" in r.groups for r in study.runs):
        found.append(("δ at 4 bits\n(nats per token)",
                      sorted_rows(growth.damage_points(study, 4, all_arms=True))))
    return [(label, rows) for label, rows in found if rows]


def schedules_figure(study):
    panels = quantities(study)
    sizes = drawn_sizes([rows for _, rows in panels])
    looks = look_of({family for _, rows in panels for size, family in rows if size in sizes})
    figure = style.plt.figure(figsize=(style.WIDTH, 0.7 + 2.5 * len(panels)))
    grid = style.panels_below_legend(figure, len(panels), len(sizes), handles_of(looks), 3, 0.16)
    total = style.LogPoints()
    for i, (label, rows) in enumerate(panels):
        for j, size in enumerate(sizes):
            ax = figure.add_subplot(grid[i + 1, j])
            cloud = draw_panel(ax, rows, size, looks)
            total.at_floor += cloud.at_floor
            if i == 0:
                ax.set_title(f"{style.count_text(size)} params")
            if j == 0:
                ax.set_ylabel(label)
            if i == len(panels) - 1:
                ax.set_xlabel("training tokens D")
    shown = [p for _, rows in panels for (size, _), group in rows.items() if size in sizes
             for p in group]
    caption = (
        "Trace of the Hessian and loss rise δ against all training tokens, the cooldown's own among "
        "them, both axes logarithmic, for checkpoints that stand at the end of a schedule; "
        f"{style.runs_text(runs_of(shown))}. One mark per run with a bar of 2 standard errors, "
        "lines join medians over seeds. Filled: the trunk at its constant rate. If the damage came "
        "from the tokens alone, the lines of a panel would coincide; if from the decay alone, the "
        "filled line would be flat.")
    return style.Drawing(figure, "Other schedules at the same tokens", caption + total.remarks(),
                         ["Q5", "Q1"])
