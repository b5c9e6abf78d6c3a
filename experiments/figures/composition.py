"""Figure: weight and activation precision together, as tables in colour."""

import numpy as np
from matplotlib.colors import LogNorm, TwoSlopeNorm

import style
from bits import last_trunk
from records import Absent, is_number, rows, runs_of

UNQUANTIZED = 16


def bits_text(bits):
    return "none" if bits >= UNQUANTIZED else f"{bits:g}"


def damage_table(study):
    """Runs shown, bits of weights, bits of activations, medians over seeds of δ with the KV cache
    unquantized, for the largest size at its last trunk checkpoint."""
    points = last_trunk(rows(study, "factorial", ["w_bits", "a_bits", "kv_bits", "delta_nats"],
                             "cell"))
    points = [p for p in points if p.kv_bits >= UNQUANTIZED and np.isfinite(p.delta_nats)]
    if not points:
        raise Absent("no transformer trunk has a finite δ in a cell with the KV cache unquantized")
    size = max(p.size for p in points)
    points = [p for p in points if p.size == size]
    w_bits, a_bits = sorted({p.w_bits for p in points}), sorted({p.a_bits for p in points})
    table = np.full((len(w_bits), len(a_bits)), np.nan)
    for i, w in enumerate(w_bits):
        for j, a in enumerate(a_bits):
            values = [p.delta_nats for p in points if p.w_bits == w and p.a_bits == a]
            if values:
                table[i, j] = np.median(values)
    runs = runs_of(points)
    return runs, w_bits, a_bits, table


def draw_table(ax, w_bits, a_bits, colours, texts):
    """Cells with rows of weights and columns of activations; NaN stays white."""
    ax.set_xlim(-0.5, len(a_bits) - 0.5), ax.set_ylim(len(w_bits) - 0.5, -0.5)
    for i in range(len(w_bits)):
        for j in range(len(a_bits)):
            colour = colours[i][j]
            ax.add_patch(style.plt.Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour,
                                             edgecolor="white", lw=1.5))
            lightness = np.dot(style.matplotlib.colors.to_rgb(colour), (0.30, 0.59, 0.11))
            ax.text(j, i, texts[i][j], ha="center", va="center", fontsize=7.5, linespacing=1.15,
                    color="white" if lightness < 0.5 else style.INK)
    ax.set_xticks(range(len(a_bits)), [bits_text(b) for b in a_bits])
    ax.set_yticks(range(len(w_bits)), [bits_text(b) for b in w_bits])
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xlabel("bits of activations"), ax.set_ylabel("bits of weights")


def number_text(value):
    if not np.isfinite(value):
        return "–"
    said = f"{value:.1e}".replace("e-0", "e-") if 0 < abs(value) < 5e-4 else f"{value:.3g}"
    return said.replace("-", "−")


def draw_damage(ax, study):
    """δ per cell, logarithmic colours; returns the runs and the number of cells not above zero."""
    runs, w_bits, a_bits, table = damage_table(study)
    positive = table[table > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (0.5, 1.0)
    norm = LogNorm(low, high if high > low else 2 * low)
    colours = [[style.plt.cm.cividis_r(norm(v)) if v > 0 else "#ffffff" for v in row]
               for row in table]
    texts = [[number_text(v) if (w, a) != (UNQUANTIZED, UNQUANTIZED) else "0"
              for a, v in zip(a_bits, row)] for w, row in zip(w_bits, table)]
    draw_table(ax, w_bits, a_bits, colours, texts)
    ax.set_title(f"δ (nats per token), {style.count_text(runs[0].size)} params")
    return runs, int((table < 0).sum())


def draw_interaction(ax, study, w_bits, a_bits):
    """Relative interactions with intervals as verdict Q6 names them; False when it has none."""
    entries = [[study.detail("Q6", f"relative interaction W{w:g}A{a:g}") for a in a_bits]
               for w in w_bits]
    values = [e["value"] for row in entries for e in row if e]
    if not values:
        return False
    reach = max(max(abs(v) for v in values), 0.05)
    norm = TwoSlopeNorm(0, -reach, reach)

    def text(e):
        if not e:
            return "–"
        known = is_number(e["low"]) and is_number(e["high"])
        interval = f"\n{e['low']:+.2f} to\n{e['high']:+.2f}" if known else ""
        return f"{e['value']:+.2f}{interval}".replace("-", "−")

    draw_table(ax, w_bits, a_bits,
               [[style.plt.cm.PuOr(norm(e["value"])) if e else "#f4f4f4" for e in row]
                for row in entries], [[text(e) for e in row] for row in entries])
    ax.set_title("interaction relative to the sum, all sizes")
    return True


def composition_figure(study):
    runs, w_bits, a_bits, _ = damage_table(study)
    w_low, a_low = ([b for b in bits if b < UNQUANTIZED] for bits in (w_bits, a_bits))
    has_interaction = any(study.detail("Q6", f"relative interaction W{w:g}A{a:g}")
                          for w in w_low for a in a_low)
    figure, axes = style.plt.subplots(1, 1 + has_interaction, squeeze=False,
                                      figsize=(style.WIDTH, 0.9 + 0.62 * len(w_bits)))
    _, negative = draw_damage(axes[0, 0], study)
    caption = (
        "Left: loss rise δ in nats per token when weights (rows) and activations (columns) are "
        "quantized together with the KV cache unquantized, median over seeds at the last trunk "
        f"checkpoint, {style.runs_text(runs)} (the largest with this measurement); colours are "
        "logarithmic.")
    if negative:
        caption += f" White cells with a number: {negative} at or below zero."
    if has_interaction:
        draw_interaction(axes[0, 1], study, w_low, a_low)
        caption += (" Right: the interaction (joint − sum) / sum of verdict Q6 with its interval, "
                    "over all sizes and checkpoints; 0 means that the two add up.")
    else:
        caption = caption.removeprefix("Left: ").replace("loss rise", "Loss rise", 1)
    return style.Drawing(figure, "Weight and activation precision together", caption, ["Q6"])
