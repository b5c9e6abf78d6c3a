"""Figure: effective size of weights trained at few bits, by procedure, against the law of more bits."""

import math

import style
from records import Absent, is_number

LOOKS = {"qat": ("straight-through", "#0072B2", "o"), "lsq": ("learned steps", "#009E73", "s"),
         "bitnet": ("ternary (BitNet)", "#D55E00", "^"), "binary": ("binary (signs)", "#CC79A7", "D")}


def width_of(key):
    """("bitnet", 1.58) of "bitnet_1_58"."""
    method, _, bits = key.partition("_")
    return method, float(bits.replace("_", "."))


def points_of(study):
    """[(method, bits, measured, law)]: entries of N_eff/N, measured and as the law has it."""
    laws = dict(study.findings("q16.law"))
    points = [(*width_of(key), entry, laws.get(key))
              for key, entry in study.findings("q16.fraction")]
    if not points:
        raise Absent("no verdict gives the effective size of weights trained at few bits")
    return sorted(points, key=lambda p: (p[1], p[0]))


def law_curve(points, scale):
    """N_eff/N of the fitted law from the fewest to the most bits that were trained."""
    low, high = points[0][1], points[-1][1]
    bits = [low + (high - low) * i / 100 for i in range(101)]
    return bits, [1 - math.exp(-b / scale) for b in bits]


def draw_points(ax, points):
    for method, bits, measured, _ in points:
        _, colour, mark = LOOKS.get(method, (method, "#000000", "X"))
        if is_number(measured["low"]) and is_number(measured["high"]):
            ax.plot([bits, bits], [measured["low"], measured["high"]], "-", color=colour, lw=1.2)
        ax.plot([bits], [measured["estimate"]], mark, color=colour, ms=5.5)
    for method, (name, colour, mark) in LOOKS.items():
        if any(p[0] == method for p in points):
            ax.plot([], [], mark, color=colour, ms=5.5, label=name)


def few_bits_figure(study):
    points = points_of(study)
    scale = study.finding("q16.scale.qat")
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 4.2))
    if scale:
        ax.plot(*law_curve(points, scale["estimate"]), "-", color=style.FAINT, lw=1.0, zorder=0,
                label=f"1 - exp(-P/{scale['estimate']:.3g}), fitted from 3 bits on")
    draw_points(ax, points)
    ax.set_xlabel("bits of weights in training, P (bits)")
    ax.set_ylabel("N_eff / N (a pure number)")
    ax.legend(loc="lower right")
    caption = (
        "Share of parameters that a model in full precision would need for the loss of a model "
        "whose weights were trained at few bits, as verdict Q16 gives it for each procedure and "
        "width, with intervals. Ternary weights stand at log2(3) bits, signs at 1 bit. Grey: the "
        "law of Kumar et al., fitted to straight-through training from three bits on and drawn "
        "beyond the rows that it was fitted to. "
        f"{style.runs_text(study.drawn_runs('qat', True))} at low precision.")
    return style.Drawing(figure, "Training at few bits against the law of more", caption, ["Q16"])
