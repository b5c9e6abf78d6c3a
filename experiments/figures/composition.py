"""Figure: weight and activation precision together, as tables in colour."""

import numpy as np
from matplotlib.colors import LogNorm

import style
from bits import last_trunk
from records import Absent, rows, runs_of

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


def composition_figure(study):
    _, w_bits, _, _ = damage_table(study)
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 0.9 + 0.55 * len(w_bits)))
    runs, negative = draw_damage(ax, study)
    caption = (
        "Loss rise δ in nats per token when weights (rows) and activations (columns) are quantized "
        "together with the KV cache unquantized, median over seeds at the last trunk checkpoint, "
        f"{style.runs_text(runs)} (the largest with this measurement); colours are logarithmic.")
    if negative:
        caption += f" White cells with a number: {negative} at or below zero."
    return style.Drawing(figure, "Weight and activation precision together", caption, ["Q6"])
