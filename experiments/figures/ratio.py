"""Figure: by how much the exponent of tokens exceeds that of parameters, for every sharpness."""

import style
from records import Absent, is_number

WORDS = {"damage": "damage", "trace": "tr H", "weighted_trace": "step-weighted trace",
         "lambda_max": "lambda_max", "frobenius": "Frobenius norm",
         "scale_free_trace": "tr H times squared\nweight norm",
         "preconditioned": "lambda_max in\nAdam's coordinates"}
LATE = "late."
ALL_LOOK, LATE_LOOK = ("#0072B2", "o", -0.13), ("#D55E00", "s", 0.13)


def differences_of(study):
    """{quantity: {False: entry of all rows, True: entry of the late ones}} in the order of WORDS."""
    found = {}
    for place, entry in [("trace.difference", study.finding("q9.trace.difference")),
                         *study.findings("q9")]:
        name, _, number = place.removeprefix(LATE).rpartition(".")
        if entry and number == "difference" and name in WORDS:
            found.setdefault(name, {})[place.startswith(LATE)] = entry
    if not found:
        raise Absent("no verdict compares the exponents of tokens and of parameters")
    return {name: found[name] for name in WORDS if name in found}


def draw_differences(ax, differences):
    for place, entries in enumerate(differences.values()):
        for is_late, entry in entries.items():
            colour, mark, shift = LATE_LOOK if is_late else ALL_LOOK
            if is_number(entry["low"]) and is_number(entry["high"]):
                ax.plot([entry["low"], entry["high"]], [place + shift] * 2, color=colour, lw=1.6)
            ax.plot(entry["estimate"], place + shift, mark, color=colour, ms=5.5,
                    mfc="white" if is_late else colour)


def tolerance_of(study):
    verdict = study.verdict("Q9") or {}
    return next((t["value"] for t in verdict.get("thresholds", [])
                 if t["name"] == "q9_equivalence"), None)


def ratio_figure(study):
    differences = differences_of(study)
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 1.2 + 0.5 * len(differences)))
    tolerance = tolerance_of(study)
    if tolerance:
        ax.axvspan(-tolerance, tolerance, color="#dddddd", lw=0, zorder=0)
    ax.axvline(0, color=style.FAINT, lw=0.9, zorder=0.5)
    draw_differences(ax, differences)
    ax.set_yticks(range(len(differences)), [WORDS[name] for name in differences])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(differences) - 0.5, -0.5)
    ax.set_xlabel("γ_D − γ_N (0: a function of tokens per parameter, D/N, alone)")
    late = (" Open orange squares: the same from the rows after the knee alone."
            if any(True in entries for entries in differences.values()) else "")
    caption = (
        "Exponent of training tokens less that of parameters in powers of both fitted to each "
        "quantity, as verdict Q9 gives them, with their intervals, over "
        f"{style.runs_text(study.drawn_runs('curvature'))}. Blue: all rows past the warm-up.{late}{' Grey band: differences that count as none.' if tolerance else ''}")
    return style.Drawing(figure, "Is it tokens per parameter?", caption, ["Q9"])
