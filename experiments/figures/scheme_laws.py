"""Figure: schemes of quantization against second order, over tokens, and guided against other bits."""

import style
from records import Absent, is_number

PANELS = [("q13.ratio", "Q13", "damage - g'e over e'He/2", 1, "q13_tolerance", "second order"),
          ("q14.gap", "Q14", "exponent of D minus that of rtn", 0, "q14_equivalence", "growth with tokens"),
          ("q15.rival", "Q15", "guided minus other, over uniform", 0, "q15_margin", "mixed bits")]


def panels_of(study):
    """[(panel, [(scheme, entry)])] of the verdicts that have intervals; widths apart are left out."""
    found = []
    for panel in PANELS:
        entries = [(key, entry) for key, entry in study.findings(panel[0])
                   if "." not in key and is_number(entry["low"]) and is_number(entry["high"])]
        verdict = study.verdict(panel[1])
        if panel[1] == "Q15" and verdict and is_number(verdict["low"]) and is_number(verdict["high"]):
            entries.append(("uniform", verdict))
        if entries:
            found.append((panel, entries))
    if not found:
        raise Absent("no verdict gives schemes of quantization with intervals")
    return found


def runs_of_schemes(study):
    """The runs that measured schemes, at the end of a trunk or along it."""
    try:
        return study.drawn_runs("schemes_along", True)
    except Absent:
        return study.drawn_runs("schemes", True)


def draw_panel(ax, panel, entries, verdict):
    _, _, label, centre, threshold, title = panel
    tolerance = next((t["value"] for t in verdict.get("thresholds", []) if t["name"] == threshold), None)
    if tolerance:
        ax.axvspan(centre - tolerance, centre + tolerance, color="#dddddd", lw=0, zorder=0)
    ax.axvline(centre, color=style.FAINT, lw=0.9, zorder=0.5)
    for place, (_, entry) in enumerate(entries):
        ax.plot([entry["low"], entry["high"]], [place, place], "-", color="#0072B2", lw=1.2)
        ax.plot([entry["estimate"]], [place], "o", color="#0072B2", ms=4)
    ax.set_yticks(range(len(entries)), [name.replace("_", " ") for name, _ in entries])
    ax.set_ylim(len(entries) - 0.5, -0.5)
    ax.set_xlabel(label)
    ax.set_title(title)


def scheme_laws_figure(study):
    panels = panels_of(study)
    longest = max(len(entries) for _, entries in panels)
    figure, axes = style.plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 1.4 + 0.26 * longest),
                                      squeeze=False, layout="constrained")
    for ax, (panel, entries) in zip(axes[0], panels):
        draw_panel(ax, panel, entries, study.verdict(panel[1]) or {})
    questions = [panel[1] for panel, _ in panels]
    caption = (
        "Each scheme of quantization with the interval of its verdict; all intervals of a panel hold together. "
        "Second order: damage less its first-order term over e'He/2 of the scheme's own error e. Growth with tokens: "
        "exponent of D of that damage minus the exponent of rounding to nearest. Mixed bits: damage at guided bits "
        "minus damage at other bits of the same average, over the damage at uniform bits; below 0 guided bits lose "
        "less. Grey: the band of the rule; for mixed bits, the margin. "
        f"{style.runs_text(runs_of_schemes(study))}.")
    return style.Drawing(figure, "Schemes of quantization against second order", caption, questions)
