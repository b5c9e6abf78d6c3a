"""Figures: the exponent of the bits removed at few and at many tokens, and the damage by mode of rounding."""

import re
from collections import defaultdict

import style
from intervals import draw_intervals, finish, threshold
from records import Absent

WORDS = {"trunk": "the trunk", "tuned": "tuned branches"}
LOOKS = {"few": ("at few tokens", "#56B4E9", "o"), "many": ("at many tokens", "#0072B2", "s")}
WIDTH = re.compile(r"(\w+)\.bits_([\d_]+)")
COLOURS = ["#0072B2", "#D55E00", "#009E73"]


def exponents_of(study):
    """{contrast: {"few": entry, "many": entry, "gap": entry}} of verdict Q23."""
    found = {}
    for name in ("few", "many"):
        for contrast, entry in study.findings(f"q23.delta.{name}"):
            found.setdefault(contrast, {})[name] = entry
    for contrast, entry in study.findings("q23.gap"):
        found.setdefault(contrast, {})["gap"] = entry
    if not found:
        raise Absent("no verdict fits the exponent of the bits removed at few and at many tokens")
    return found


def removed_bits_figure(study):
    exponents = exponents_of(study)
    labels = [WORDS.get(contrast, contrast) for contrast in exponents]
    figure, (left, right) = style.plt.subplots(
        1, 2, figsize=(style.WIDTH, 1.5 + 0.7 * len(exponents)), sharey=True)
    for i, (name, (words, colour, mark)) in enumerate(LOOKS.items()):
        draw_intervals(left, [e.get(name) for e in exponents.values()], colour, 0.2 * (i - 0.5), mark)
        left.plot([], [], mark, color=colour, ms=5, label=words)
    draw_intervals(right, [e.get("gap") for e in exponents.values()], "#000000", 0, "D")
    band = threshold(study, "Q23", "q23_tolerance")
    finish(left, labels)
    finish(right, labels, band)
    left.set_xlabel("exponent of the bits removed")
    right.set_xlabel("many tokens minus few")
    left.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2)
    caption = (
        "Exponent of 16 - P in the damage at P bits, without its first-order term, at the fewest and at the most "
        "tokens of each trunk and of branches tuned on one text, as verdict Q23 gives it, with intervals. Those of "
        f"the difference hold together.{' Grey band: differences that count as none.' if band else ''} "
        f"{style.runs_text(study.drawn_runs('ptq'))}.")
    return style.Drawing(figure, "Is the exponent of the bits removed the same at all tokens?", caption, ["Q23"])


def ratios_of(study):
    """{mode: [(bits, entry)]}, damage over that of nearest even by ascending bits, of verdict Q24."""
    found = defaultdict(list)
    for place, entry in study.findings("q24.ratio"):
        if parts := WIDTH.fullmatch(place):
            found[parts[1]].append((float(parts[2].replace("_", ".")), entry))
    if not found:
        raise Absent("no verdict compares modes of rounding at the same checkpoints")
    return {mode: sorted(points, key=lambda point: point[0]) for mode, points in sorted(found.items())}


def rounding_figure(study):
    ratios = ratios_of(study)
    bits = sorted({b for points in ratios.values() for b, _ in points})
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 1.6 + 0.4 * len(bits)))
    for i, (mode, points) in enumerate(ratios.items()):
        entries = dict(points)
        colour = COLOURS[i % len(COLOURS)]
        draw_intervals(ax, [entries.get(b) for b in bits], colour, 0.2 * (i - (len(ratios) - 1) / 2))
        ax.plot([], [], "o", color=colour, ms=5, label=mode.replace("_", " "))
    finish(ax, [f"{b:g} bits" for b in bits])
    for at in (1, 2):
        ax.axvline(at, color=style.FAINT, lw=0.9, ls="--" if at == 2 else "-", zorder=0.5)
    ax.set_xlabel("damage over that of rounding to nearest even")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=len(ratios))
    caption = (
        "Damage, without its first-order term, by mode of rounding over that of rounding to nearest even at the same "
        "checkpoints, as verdict Q24 gives it, with intervals. Grey lines: 0, equal damage, and, dashed, the 2 that "
        "second order gives stochastic rounding where errors lie anywhere between two levels. "
        f"{style.runs_text(study.drawn_runs('ptq', True))}.")
    return style.Drawing(figure, "What the mode of rounding costs", caption, ["Q24"])
