"""Figure: the exponent of the damage as the sum of its parts."""

import style
from records import Absent, is_number

WORDS = {"trace": "curvature\n(step-weighted trace)", "step": "squared step\n(weights' range)",
         "alignment": "alignment of the\nerror with H", "higher": "higher\norder"}
UP, DOWN, SUM = "#0072B2", "#D55E00", "#555555"


def parts_of(study):
    """The total's entry and [(name, entry)] of the parts that add up to it."""
    total, parts = study.finding("q3.growth"), study.findings("q3.growth")
    if not total or not parts:
        raise Absent("no verdict splits the exponent of the damage")
    return total, parts


def draw_bar(ax, place, start, entry, colour):
    """One bar from `start`, its interval about its end and its number beside the interval."""
    end = start + entry["estimate"]
    ax.barh(place, entry["estimate"], left=start, height=0.56, color=colour, alpha=0.85, lw=0)
    reach = [start, end]
    if is_number(entry["low"]) and is_number(entry["high"]):
        reach += [start + entry["low"], start + entry["high"]]
        ax.plot(reach[2:], [place] * 2, color=style.INK, lw=1.2, zorder=3)
    ax.annotate(f"{entry['estimate']:+.3g}".replace("-", "−"), (max(reach), place), xytext=(6, 0),
                textcoords="offset points", va="center", fontsize=8.5)
    return end


def split_figure(study):
    total, parts = parts_of(study)
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 1.1 + 0.52 * (len(parts) + 1)))
    at = 0.0
    for place, (name, entry) in enumerate(parts):
        end = draw_bar(ax, place, at, entry, UP if entry["estimate"] >= 0 else DOWN)
        ax.plot([end, end], [place + 0.28, place + 0.72], color=style.FAINT, lw=0.9)
        at = end
    draw_bar(ax, len(parts), 0.0, total, SUM)
    ax.axvline(0, color=style.FAINT, lw=0.9, zorder=0)
    ax.set_yticks(range(len(parts) + 1),
                  [WORDS.get(name, name) for name, _ in parts] + ["damage\n(the sum)"])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(parts) + 0.5, -0.5)
    ax.margins(x=0.12)
    ax.set_xlabel("share of the exponent d ln δ / d ln D (a pure number)")
    caption = (
        "How the damage's growth with tokens comes about: d ln δ/d ln D within model size and bits "
        "is the sum of the parts above it, each bar starting where the last one ended, as verdict "
        "Q3 gives them, δ without its first-order term, over "
        f"{style.runs_text(study.drawn_runs('ptq'))}. Black: the interval of each part "
        "alone, set at the end of its bar; blue raises the exponent, orange lowers it.")
    return style.Drawing(figure, "What the growth of the damage is made of", caption, ["Q3"])
