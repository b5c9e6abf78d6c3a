"""Figure: what sets other architectures apart from the main arm, as verdict Q17 gives it."""

import style
from records import Absent, is_number

NUMBERS = {"damage": "gamma_D of the damage", "trace": "gamma_D of the step-weighted trace",
           "ratio": "ln of damage over prediction"}


def gaps_of(study):
    """{arm: {number: entry}} of the gaps to the main arm, arms in the order of their names."""
    gaps = {}
    for number in NUMBERS:
        for arm, entry in study.findings(f"q17.gap.{number}"):
            gaps.setdefault(arm, {})[number] = entry
    if not gaps:
        raise Absent("no verdict compares another architecture with the main arm")
    return dict(sorted(gaps.items()))


def tolerance_of(study):
    """Half-width of the band of the rule, None where the verdict has none."""
    verdict = study.verdict("Q17") or {}
    return next((t["value"] for t in verdict.get("thresholds", [])
                 if t["name"] == "q17_tolerance"), None)


def draw_gaps(ax, gaps, number):
    for place, (_, entries) in enumerate(gaps.items()):
        entry = entries.get(number)
        if not entry:
            continue
        if is_number(entry["low"]) and is_number(entry["high"]):
            ax.plot([entry["low"], entry["high"]], [place, place], "-", color="#0072B2", lw=1.4)
        ax.plot([entry["estimate"]], [place], "o", color="#0072B2", ms=5.5)


def architecture_figure(study):
    gaps = gaps_of(study)
    band = tolerance_of(study)
    figure, axes = style.plt.subplots(1, len(NUMBERS), sharey=True,
                                      figsize=(style.WIDTH, 1.6 + 0.4 * len(gaps)))
    for ax, (number, label) in zip(axes, NUMBERS.items()):
        if band:
            ax.axvspan(-band, band, color="#eeeeee", zorder=0)
        ax.axvline(0, color=style.FAINT, lw=0.8, zorder=0)
        draw_gaps(ax, gaps, number)
        ax.set_xlabel(f"gap of {label}" if number != "ratio" else label)
    axes[0].set_yticks(range(len(gaps)), [arm.replace("_", " ") for arm in gaps])
    axes[0].set_ylim(-0.6, len(gaps) - 0.4)
    caption = (
        "Each arm of another architecture, of equal size and training, less the main arm: exponent "
        "of tokens of the damage, the same of the step-weighted trace, and ln of damage over "
        "prediction at equal bits, as verdict Q17 gives them, with intervals that hold together. "
        "Grey: the band that counts as equal. "
        f"{style.runs_text(study.drawn_runs('ptq', True))}.")
    return style.Drawing(figure, "Other architectures", caption, ["Q17"])
