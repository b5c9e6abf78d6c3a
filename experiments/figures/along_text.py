"""Figure: what bits that differ along the text save against uniform bits of the same average."""

from matplotlib.lines import Line2D

import style
from intervals import draw_intervals, finish, threshold
from records import Absent

LOOKS = {"step_down": ("one step down", "#0072B2", "o"), "linear": ("a line down", "#56B4E9", "^"),
         "reversed": ("one step up", "#D55E00", "s"),
         "surprise": ("by surprise of the token", "#009E73", "D")}


def gains_of(study):
    """{schedule: {average bits: entry}} of verdict Q20."""
    found = {}
    for place, entry in study.findings("q20.gain"):
        schedule, _, bits = place.partition(".bits_")
        if schedule in LOOKS:
            found.setdefault(schedule, {})[float(bits.replace("_", "."))] = entry
    if not found:
        raise Absent("no verdict compares bits that differ along the text")
    return {name: found[name] for name in LOOKS if name in found}


def along_text_figure(study):
    gains = gains_of(study)
    averages = sorted({bits for entries in gains.values() for bits in entries})
    figure = style.plt.figure(figsize=(style.WIDTH, 1.2 + 0.7 * len(averages)))
    handles = [Line2D([], [], color=LOOKS[name][1], marker=LOOKS[name][2], ms=5, lw=1.6,
                      label=LOOKS[name][0]) for name in gains]
    grid = style.panels_below_legend(figure, 1, 1, handles, len(handles), 0.2)
    ax = figure.add_subplot(grid[1, 0])
    for i, (name, entries) in enumerate(gains.items()):
        shift = 0.16 * (i - (len(gains) - 1) / 2)
        draw_intervals(ax, [entries.get(bits) for bits in averages], LOOKS[name][1], shift, LOOKS[name][2])
    band = threshold(study, "Q20", "q20_equivalence")
    finish(ax, [f"{bits:g} bits" for bits in averages], band)
    ax.set_xlabel("share of the damage of uniform bits that is saved")
    caption = (
        "Weights read at widths that differ along the generated text, against uniform bits of the same average on "
        "the same tokens: the share of the damage that each schedule saves, with its interval, as verdict Q20 gives "
        f"it, over {style.runs_text(study.drawn_runs('decode_schedules'))}."
        f"{' Grey band: gains that count as none.' if band else ''}")
    return style.Drawing(figure, "Which tokens deserve bits?", caption, ["Q20"])
