"""Figure: sharpness and damage against tokens per parameter, with the laws of the verdicts."""

import math
from collections import defaultdict

import numpy as np
from matplotlib.lines import Line2D

import style
from records import Absent, is_number, rows, runs_of

LABELS = {
    "trace": "trace of the Hessian\n(nats / parameter unit²)",
    "lambda_max": "largest eigenvalue\n(nats / parameter unit²)",
}


def medians_over_seeds(points):
    """{(size, variant): sorted [(tokens, median)]} over values above zero and finite."""
    groups = defaultdict(lambda: defaultdict(list))
    for p in points:
        if np.isfinite(p.value) and p.value > 0 and np.isfinite(p.tokens):
            groups[p.size, p.variant][p.tokens].append(p.value)
    return {key: [(d, float(np.median(v))) for d, v in sorted(tokens.items())]
            for key, tokens in groups.items()}


def sharpness_points(study, quantity, all_arms=False):
    points = rows(study, "curvature", ["lambda", "trace", "trace_se"], all_arms=all_arms)
    for p in points:
        top = getattr(p, "lambda")
        top = top[np.isfinite(top)]
        p.value = p.trace if quantity == "trace" else (top.max() if len(top) else math.nan)
        p.bar = 2 * p.trace_se if quantity == "trace" else math.nan
    return points


def damage_points(study, bits, all_arms=False):
    points = [p for p in rows(study, "ptq", ["bits", "delta_nats", "delta_se_nats"], "bits",
                              all_arms) if p.bits == bits]
    for p in points:
        p.value, p.bar = p.delta_nats, 2 * p.delta_se_nats
    return points


def draw_fan(ax, ends, pivot, slopes, colour=style.INK):
    """A power law through `pivot` with the slopes (estimate, low, high) between two x ends."""
    x = np.geomspace(*ends, 40)
    lines = [pivot[1] * (x / pivot[0]) ** s if is_number(s) else None for s in slopes]
    if lines[1] is not None and lines[2] is not None:
        ax.fill_between(x, np.minimum(lines[1], lines[2]), np.maximum(lines[1], lines[2]),
                        color="#bbbbbb", alpha=0.5, lw=0, zorder=0.5)
    ax.plot(x, lines[0], "--", color=colour, lw=1.0, zorder=1)


def draw_guide(ax, slopes):
    """The slope alone, where the verdict gives no height: in the corner that a cloud of that
    slope leaves free."""
    ax.set_xlim(ax.get_xlim()), ax.set_ylim(ax.get_ylim())
    to_data = ax.transAxes + ax.transData.inverted()
    decades = np.log10(ax.get_xlim()[1] / ax.get_xlim()[0]), np.log10(
        ax.get_ylim()[1] / ax.get_ylim()[0])
    steepest = max(abs(s) for s in slopes if is_number(s)) * decades[0] / decades[1]
    half = min(0.14, 0.11 / max(steepest, 1e-9))
    place = np.array([0.97 - half, 0.14 if slopes[0] >= 0 else 0.86])
    left, middle, right = (to_data.transform(place + (shift, 0)) for shift in (-half, 0, half))
    draw_fan(ax, (left[0], right[0]), middle, slopes)
    interval = (f"\n({slopes[1]:.2f} to {slopes[2]:.2f})"
                if is_number(slopes[1]) and is_number(slopes[2]) else "")
    ax.annotate(f"slope {slopes[0]:.2f}{interval}".replace("-", "−"), place - (half + 0.02, 0),
                xycoords="axes fraction", ha="right", va="center", fontsize=7.5)


def law_of_sharpness(study, quantity):
    """(exponent entry, function of size and tokens or None) of Q2's power law."""
    place = "q2" if quantity == "trace" else f"q2.{quantity}"
    return (study.finding(f"{place}.gamma_d"), study.finding(f"{place}.gamma_n"),
            study.finding(f"{place}.c"), 0.0)


def law_of_damage(study, bits):
    """The same of Q1's law at one number of bits: the bits only shift its constant."""
    post = study.finding("q1.gamma_post")
    constant = study.finding("q1.ln_c") if post else None
    return (study.finding("q1.gamma_d"), study.finding("q1.gamma_n"), constant,
            -bits / post["estimate"] if post else 0.0)


def draw_law(ax, points, growth, gamma_n, constant, shift):
    """Fitted lines per size where the verdict holds the whole law, else its slope; says which."""
    if not growth:
        return "none"
    exponent = growth["estimate"]
    slopes = (exponent, growth["low"], growth["high"])
    if not (gamma_n and constant):
        draw_guide(ax, slopes)
        return "slope"
    colours = style.size_colours(p.size for p in points)
    for (size, variant), line in medians_over_seeds(points).items():
        if variant != "trunk" or len(line) < 2:
            continue
        ends = line[0][0] / size, line[-1][0] / size
        middle = math.sqrt(ends[0] * ends[1])
        height = math.exp(constant["estimate"] + shift + exponent * math.log(middle * size)
                          - gamma_n["estimate"] * math.log(size))
        draw_fan(ax, ends, (middle, height), slopes, colours[size])
    return "lines"


def draw_growth(ax, points, label, law):
    """One panel; returns its LogPoints and what was drawn of the law."""
    if not any(np.isfinite(p.value) for p in points):
        raise Absent(f"{' '.join(label.split())} was not measured")
    colours = style.size_colours(p.size for p in points)
    cloud = style.LogPoints()
    for p in points:
        cloud.add(p.tokens / p.size, p.value, p.bar, colours[p.size],
                  style.variant_mark(p.variant), p.variant == "trunk")
    ax.set_xscale("log")
    cloud.draw(ax)
    for (size, variant), line in medians_over_seeds(points).items():
        if variant == "trunk":
            ax.plot([d / size for d, _ in line], [v for _, v in line], "-", color=colours[size],
                    lw=1.1, zorder=1.5)
    drawn = draw_law(ax, points, *law)
    style.log_axis(ax.xaxis), style.log_axis(ax.yaxis)
    ax.set_ylabel(label)
    return cloud, drawn


def size_and_variant_handles(points):
    colours = style.size_colours(p.size for p in points)
    handles = [Line2D([], [], marker="o", ls="-", ms=4, color=colour,
                      label=f"{style.count_text(size)} params")
               for size, colour in colours.items()]
    return handles + style.variant_handles(p.variant for p in points)


LAW_REMARKS = {
    "lines": " Dashed: the law fitted by the verdicts, one line per size; grey: the slopes in the "
             "interval of its exponent, turned about the middle of the line.",
    "slope": " Dashed in a corner: the exponent of D that a verdict gives, grey its interval; only "
             "its slope has a meaning, not its height.",
    "none": "",
}


def panels_of(study):
    """The panels that can be drawn: (points, label, law)."""
    panels = []
    if any(r.is_transformer and "curvature" in r.groups for r in study.runs):
        panels += [(sharpness_points(study, q), label, law_of_sharpness(study, q))
                   for q, label in LABELS.items()]
    if any(r.is_transformer and "ptq" in r.groups for r in study.runs):
        panels += [(damage_points(study, bits), f"δ at {bits} bits (nats per token)",
                    law_of_damage(study, bits)) for bits in (3, 4)]
    return [p for p in panels if any(np.isfinite(q.value) for q in p[0])]


def growth_figure(study):
    panels = panels_of(study)
    if not panels:
        raise Absent("no transformer run has a finite trace, eigenvalue or δ at 3 or 4 bits")
    lines = -(-len(panels) // 2)
    figure = style.plt.figure(figsize=(style.WIDTH, 0.5 + 2.7 * lines))
    everything = [p for panel in panels for p in panel[0]]
    handles = size_and_variant_handles(everything)
    legend_lines = -(-len(handles) // 6)
    grid = style.panels_below_legend(figure, lines, 2, handles, -(-len(handles) // legend_lines),
                                     0.09 * legend_lines)
    total, ways = style.LogPoints(), []
    for k, (points, label, law) in enumerate(panels):
        ax = figure.add_subplot(grid[1 + k // 2, k % 2])
        cloud, drawn = draw_growth(ax, points, label, law)
        total.at_floor += cloud.at_floor
        total.not_finite += cloud.not_finite
        ways.append(drawn)
        if k >= len(panels) - 2:
            ax.set_xlabel("tokens per quantizable parameter D/N")
    caption = (
        "Sharpness and damage against tokens per quantizable parameter, both axes logarithmic, "
        f"{style.runs_text(runs_of(everything))}. One mark per seed "
        "with a bar of 2 standard errors where one was measured; lines join the medians over seeds "
        "of the constant-learning-rate trunk, open marks are the other variants.")
    caption += "".join(LAW_REMARKS[way] for way in ("lines", "slope") if way in ways)
    return style.Drawing(figure, "Sharpness and damage against tokens per parameter",
                         caption + total.remarks(), ["Q1", "Q2", "Q5"])
