"""Figure: damage against bits at the end of training, with the shapes of the three per-bit laws."""

import numpy as np

import style
from records import Absent, is_number, rows, runs_of


def last_trunk(points):
    """The rows of each run's trunk checkpoint with most tokens."""
    last = {}
    for p in points:
        if p.variant == "trunk" and np.isfinite(p.tokens):
            last[id(p.run)] = max(last.get(id(p.run), 0), p.tokens)
    return [p for p in points if p.variant == "trunk" and p.tokens == last.get(id(p.run))]


def per_bit_shapes(study, middle):
    """[(law's key, name, colour, function of bits that is 1 at `middle`)] of the laws that the
    verdict knows."""
    shapes = [("step", "squared step", "#009E73",
               lambda b: ((2.0 ** (middle - 1) - 1) / (2.0 ** (b - 1) - 1)) ** 2)]
    post = study.finding("q1.gamma_post")
    if post:
        shapes.append(("exponential", "exponential in bits", "#D55E00",
                       lambda b: np.exp(-(b - middle) / post["estimate"])))
    power = study.finding("q1.gamma_p")
    if power:
        shapes.append(("bit_power", "power of bits", "#CC79A7", lambda b: (b / middle) ** -power["estimate"]))
    return shapes


def draw_shapes(ax, study, line):
    """The shapes through the largest model's median in the middle of the bits of the fit."""
    thresholds = {t["name"]: t["value"] for t in (study.verdict("Q1") or {}).get("thresholds", [])}
    least, most = thresholds.get("ptq_bits_min"), thresholds.get("ptq_bits_max")
    line = [(b, v) for b, v in line if is_number(least) and least <= b <= most and b > 1]
    if len(line) < 2:
        return []
    middle, height = line[(len(line) - 1) // 2]
    drawn = []
    b = np.linspace(line[0][0], line[-1][0], 60)
    for key, name, colour, shape in per_bit_shapes(study, middle):
        held_out = study.finding(f"q1.held_out.{key}")
        note = f" (held-out error {held_out['estimate']:.2g})" if held_out else ""
        ax.plot(b, height * shape(b), "--", color=colour, lw=1.1, zorder=1, label=name + note)
        drawn.append(name)
    return drawn


def size_shift(size, sizes):
    return 0.05 * (sizes.index(size) - (len(sizes) - 1) / 2)


def bits_figure(study):
    points = last_trunk(rows(study, "ptq", ["bits", "delta_nats", "delta_se_nats"], "bits"))
    if not any(np.isfinite(p.delta_nats) for p in points):
        raise Absent("no transformer trunk has a finite δ")
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 4.2))
    colours = style.size_colours(p.size for p in points)
    sizes = sorted(colours)
    cloud, lines = style.LogPoints(), {}
    for p in points:
        cloud.add(p.bits + size_shift(p.size, sizes), p.delta_nats, 2 * p.delta_se_nats,
                  colours[p.size], "o")
    cloud.draw(ax)
    for size in sizes:
        values = {b: [p.delta_nats for p in points if p.size == size and p.bits == b
                      and p.delta_nats > 0] for b in sorted({p.bits for p in points})}
        lines[size] = [(b, float(np.median(v))) for b, v in values.items() if v]
        shift = size_shift(size, sizes)
        ax.plot([b + shift for b, _ in lines[size]], [v for _, v in lines[size]], "-",
                color=colours[size], lw=1.2, label=f"{style.count_text(size)} params", zorder=1.5)
    shapes = draw_shapes(ax, study, lines[sizes[-1]])
    style.log_axis(ax.yaxis)
    ax.set_xticks(sorted({p.bits for p in points}))
    ax.set_xlabel("bits per weight P")
    ax.set_ylabel("damage δ (nats per token)")
    ax.legend(loc="upper right")
    caption = (
        "Loss rise δ in nats per token when the weights of the last trunk checkpoint are quantized "
        f"to P bits, {style.runs_text(runs_of(points))}. One mark "
        "per seed with a bar of 2 standard errors, sizes set slightly apart; solid lines join the "
        "medians over seeds.")
    if shapes:
        caption += (" Dashed: the per-bit shapes (" + ", ".join(shapes) + ") with the parameters "
                    "of verdict Q1, all drawn through the largest model's median in the middle of "
                    "the fitted bits; only their slopes have a meaning.")
    return style.Drawing(figure, "Damage against bits", caption + cloud.remarks(), ["Q1"])
