"""Figure: what tuning changes in damage, prediction and sharpness."""

from matplotlib.lines import Line2D

import style
from intervals import draw_intervals, finish, threshold
from records import Absent

LOOKS = {"damage": ("damage", "#D55E00", "o"), "prediction": ("prediction", "#0072B2", "s"),
         "gap": ("damage over prediction", "#000000", "D"), "trace": ("tr H", "#009E73", "^"),
         "shifted": ("damage on other text", "#E69F00", "v")}


def changes_of(study):
    """{quantity: {branch: entry}} of verdict Q22."""
    found = {name: dict(study.findings(f"q22.{name}")) for name in LOOKS}
    if not found["gap"]:
        raise Absent("no verdict compares tuned branches with the checkpoints that they left")
    return {name: entries for name, entries in found.items() if entries}


def tuning_figure(study):
    changes = changes_of(study)
    branches = sorted(changes["gap"])
    figure = style.plt.figure(figsize=(style.WIDTH, 1.2 + 0.9 * len(branches)))
    handles = [Line2D([], [], color=LOOKS[name][1], marker=LOOKS[name][2], ms=5, lw=1.6,
                      label=LOOKS[name][0]) for name in changes]
    grid = style.panels_below_legend(figure, 1, 1, handles, 3, 0.2)
    ax = figure.add_subplot(grid[1, 0])
    for i, (name, entries) in enumerate(changes.items()):
        shift = 0.16 * (i - (len(changes) - 1) / 2)
        draw_intervals(ax, [entries.get(branch) for branch in branches], LOOKS[name][1], shift, LOOKS[name][2])
    band = threshold(study, "Q22", "q22_tolerance")
    finish(ax, [branch.replace("_", " ") for branch in branches], band)
    ax.set_xlabel("change of the logarithm from the checkpoint that the branch left to its end")
    caption = (
        "What tuning changes, as verdict Q22 gives it, with intervals, over "
        f"{style.runs_text(study.drawn_runs('ptq'))}. The law of curvature transfers where damage over prediction "
        f"stays as it was.{' Grey band: changes of that ratio that count as none.' if band else ''}")
    return style.Drawing(figure, "Does the prediction hold after tuning?", caption, ["Q22"])
