"""Figure: what each bit is worth, measured and by three theories."""

import re
from collections import defaultdict

import numpy as np

import style
from records import Absent, is_number

PLACE = re.compile(r"bits_([\d_]+)(?:\.(\w+))?")
MEASURED = "measured"
NAMES = {None: MEASURED, "prediction": "of the prediction", "step": "squared step",
         "kumar": "exponential, Kumar et al.", "ouyang": "power, Ouyang et al."}
LOOKS = {MEASURED: ("#000000", "o"), "of the prediction": ("#0072B2", "s"),
         "squared step": ("#009E73", "^"), "exponential, Kumar et al.": ("#D55E00", "D"),
         "power, Ouyang et al.": ("#CC79A7", "P")}


def factors_of(study):
    """{name: [(bits, entry)]} by ascending bits, the measured one first."""
    found = defaultdict(list)
    for place, entry in study.findings("q7.factor"):
        parts = PLACE.fullmatch(place)
        if parts and parts[2] in NAMES and entry["estimate"] > 0:
            found[NAMES[parts[2]]].append((float(parts[1].replace("_", ".")), entry))
    if MEASURED not in found:
        raise Absent("no verdict gives the factor of damage from one number of bits to the next")
    return {name: sorted(found[name], key=lambda pair: pair[0]) for name in LOOKS if name in found}


def draw_factors(ax, factors):
    """Theories as steps across each transition, measured values with their intervals on top."""
    ends = {}
    for k, (name, points) in enumerate(factors.items()):
        colour, mark = LOOKS[name]
        x = np.array([bits for bits, _ in points])
        y = np.array([entry["estimate"] for _, entry in points])
        known = [is_number(e["low"]) and is_number(e["high"]) for _, e in points]
        if any(known):
            x = x + (0.06 if name == MEASURED else -0.06)
            for at, (_, e), has in zip(x, points, known):
                if has:
                    ax.plot([at] * 2, [e["low"], e["high"]], "-", color=colour, lw=1.6, zorder=3)
        ax.plot(x, y, mark if any(known) else "--" + mark, color=colour, lw=1.1, zorder=4 - 0.1 * k,
                ms=6 if name == MEASURED else 4.5, mfc="white" if any(known) and k else colour)
        ends[name] = (points[-1][0] + 0.12, y[-1], colour)
    ax.set_xlim(x[0] - 0.2, x[-1] + 0.2)
    ax.set_ylim(0, 1.35 * max(e["estimate"] for points in factors.values() for _, e in points))
    return ends


def per_bit_figure(study):
    factors = factors_of(study)
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 3.9))
    ends = draw_factors(ax, factors)
    bits = sorted({b for points in factors.values() for b, _ in points})
    ax.set_xticks(bits, [f"{b:g} → {b + 1:g}" for b in bits])
    ax.set_xlabel("bits per weight")
    ax.set_ylabel("damage ratio δ(P) / δ(P + 1)")
    style.label_ends(ax, ends)
    caption = (
        "Factor by which the damage, without its first-order term, falls with one more bit, at the "
        f"same checkpoint; a wide interval is cut at the axis. Means over the rows of verdict Q7, "
        f"{style.runs_text(study.drawn_runs('ptq'))}, with their intervals. Dashed: squared step "
        "of the grid, ((2^P − 1)/(2^(P−1) − 1))², no constant; the published exponential and the "
        "published power of the bits, with their authors' constants.")
    return style.Drawing(figure, "What one bit is worth", caption, ["Q7", "Q1"])
