"""Figure: training at low precision: its loss, the share of parameters it leaves, the best bits."""

import re
from collections import defaultdict

import numpy as np

import style
from records import Absent, is_number, rows, runs_of

PARTS = {"w": ("weights", "#0072B2", "o"), "a": ("activations", "#D55E00", "s"),
         "kv": ("KV", "#009E73", "^")}
OPTIONS = {"w": "model.train_weight_bits", "a": "model.train_activation_bits",
           "kv": "model.train_kv_bits"}
SHARE = re.compile(r"w([\d_]+)a([\d_]+)kv([\d_]+)")
FULL = 16.0


def lowered_part(bits):
    """The one part below 16 bits and its bits; None where none or several are lowered."""
    low = [(part, b) for part, b in zip(PARTS, bits) if b < FULL]
    return low[0] if len(low) == 1 else None


def losses_of(study):
    """Losses at the precision of training of each run's last checkpoint, of one lowered part."""
    found = [p for p in rows(study, "qat", ["loss_nats", "loss_se_nats"], None, True,
                             ("lowered", "trunk")) if np.isfinite(p.loss_nats)]
    chosen = []  # rows that were trained in full precision have no loss in /qat
    for p in found:
        p.part = lowered_part([float(p.run.options.get(OPTIONS[part], FULL)) for part in PARTS])
        last = max(q.tokens for q in found if q.run is p.run)
        if p.part and p.tokens == last:
            chosen.append(p)
    if not chosen:
        raise Absent("no transformer trained one part at low precision")
    return chosen


def draw_losses(ax, points):
    """Loss over training bits: colour and mark by part, one line per size through the medians."""
    groups = defaultdict(lambda: defaultdict(list))
    sizes = sorted({p.size for p in points})
    styles = dict(zip(sizes, ["-", "--", ":", "-."] * len(sizes)))
    ends = {}
    for p in points:
        part, bits = p.part
        colour, mark = PARTS[part][1:]
        if is_number(float(p.loss_se_nats)):
            bar = 2 * p.loss_se_nats
            ax.plot([bits] * 2, [p.loss_nats - bar, p.loss_nats + bar], "-", color=colour, lw=0.9)
        ax.plot([bits], [p.loss_nats], mark, color=colour, ms=4)
        groups[part, p.size][bits].append(p.loss_nats)
    for (part, size), values in groups.items():
        x = sorted(values)
        y = [float(np.median(values[b])) for b in x]
        ax.plot(x, y, styles[size], color=PARTS[part][1], lw=1.1)
        ends[f"{PARTS[part][0]}, {style.count_text(size)}"] = (x[-1], y[-1], PARTS[part][1])
    ax.set_xlabel("bits in training"), ax.set_ylabel("loss as trained (nats per token)")
    style.label_ends(ax, ends)


def draw_shares(ax, study):
    """Measured N_eff/N of one lowered part, and the law 1 - exp(-P/gamma + n) that was fitted."""
    found = defaultdict(list)
    for place, entry in study.findings("q8.fraction"):
        bits = SHARE.fullmatch(place)
        part = bits and lowered_part([float(b.replace("_", ".")) for b in bits.groups()])
        if part:
            found[part[0]].append((part[1], entry))
    for part, points in found.items():
        name, colour, mark = PARTS[part]
        for bits, e in points:
            if is_number(e["low"]) and is_number(e["high"]):
                ax.plot([bits] * 2, [e["low"], e["high"]], "-", color=colour, lw=1.2)
            ax.plot([bits], [e["estimate"]], mark, color=colour, ms=4.5)
        ax.plot([], [], color=colour, marker=mark, ms=4.5, lw=1.2, label=name)
    for part, (_, colour, _) in PARTS.items():
        gamma, offset = study.finding(f"q8.gamma_{part}"), study.finding(f"q8.n_{part}")
        if part in found and gamma and offset:
            bits = np.linspace(min(b for b, _ in found[part]), max(b for b, _ in found[part]), 60)
            ax.plot(bits, 1 - np.exp(-bits / gamma["estimate"] + offset["estimate"]), "-",
                    color=colour, lw=1.2)
    ax.axhline(1, color=style.FAINT, lw=0.8, zorder=0)
    ax.set_xlabel("bits in training"), ax.set_ylabel("N_eff / N (a pure number)")
    if found:
        ax.legend(loc="lower right")
    return bool(found)


def draw_optimum(ax, verdict):
    """P* with its interval as a band."""
    if is_number(verdict["low"]) and is_number(verdict["high"]):
        ax.axvspan(verdict["low"], verdict["high"], color="#bbbbbb", alpha=0.4, lw=0, zorder=0)
    ax.axvline(verdict["estimate"], color=style.INK, lw=1.0, ls="--", zorder=0.5)
    ax.annotate(f"P* = {verdict['estimate']:.3g}", (verdict["estimate"], 1.01),
                xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=8)


def training_precision_figure(study):
    points = losses_of(study)
    verdict = study.verdict("Q8")
    has_shares = bool(study.findings("q8.fraction"))
    figure, axes = style.plt.subplots(1, 1 + has_shares, squeeze=False, figsize=(style.WIDTH, 3.7))
    caption = (
        "Held-out loss of models trained with one part at low precision, at that precision, "
        f"{style.runs_text(runs_of(points))}, last checkpoint of each; one mark per seed with a bar "
        "of 2 standard errors, lines join medians.")
    if has_shares and draw_shares(axes[0, 1], study):
        caption += (" Right: the share of parameters that a model in full precision would need for "
                    "that loss, with intervals; lines: the fitted law 1 − exp(−P/γ + n).")
    if verdict and is_number(verdict["estimate"]):
        draw_optimum(axes[0, -1], verdict)
        caption += (" Dashed: the compute-optimal bits P* of verdict Q8, all parts lowered alike, "
                    "grey its interval.")
    draw_losses(axes[0, 0], points)
    return style.Drawing(figure, "Training at low precision", caption, ["Q8"])
