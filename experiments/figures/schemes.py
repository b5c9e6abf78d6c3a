"""Schemes of quantization side by side: the figure of the ladder and of its prediction, and the table."""

import numpy as np

import style
from markup import table, text, with_error
from records import Absent

NAMES = ["scheme", "bits", "bits_per_weight", "delta_nats", "delta_se_nats", "kl_nats",
         "top1_agreement", "gradient_nats", "quadratic_nats", "reference_delta_nats"]
COORDINATE_MARKS = {"": "o", "smooth": "s", "rotate": "^"}
RULE_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555",
                "#8C510A", "#5E3C99", "#B2ABD2", "#1B7837"]


def entries_of(study):
    """[(run, {name: list})] of the transformer runs that compared schemes."""
    return [(run, {name: run.array("schemes", name) for name in NAMES})
            for run in study.drawn_runs("schemes")]


def split(scheme):
    """("rotate", "gptq") of "rotate+gptq"."""
    coordinates, plus, rule = scheme.rpartition("+")
    return (coordinates, rule) if plus else ("", scheme)


def colours_of(schemes):
    rules = list(dict.fromkeys(split(s)[1] for s in schemes))
    return {rule: RULE_COLOURS[i % len(RULE_COLOURS)] for i, rule in enumerate(rules)}


def draw_ladder(ax, t, colours):
    """Loss rise against bits per weight, a line per scheme; a format is one point."""
    schemes = t["scheme"]
    cloud = style.LogPoints()
    for scheme in dict.fromkeys(schemes):
        coordinates, rule = split(scheme)
        places = [i for i, s in enumerate(schemes) if s == scheme]
        x = [t["bits_per_weight"][i] for i in places]
        y = [t["delta_nats"][i] for i in places]
        for a, b, i in zip(x, y, places):
            cloud.add(a, b, 2 * t["delta_se_nats"][i], colours[rule],
                      COORDINATE_MARKS.get(coordinates, "X"))
        line = sorted((a, b) for a, b in zip(x, y) if b > 0)
        ax.plot([a for a, _ in line], [b for _, b in line], lw=0.9, color=colours[rule], zorder=1,
                ls={"": "-", "smooth": ":", "rotate": "--"}.get(coordinates, "-"), label=scheme)
    cloud.draw(ax)
    style.log_axis(ax.yaxis)
    ax.set_xlabel("bits per weight, scales included")
    ax.set_ylabel("loss rise (nats)")
    return cloud.remarks()


def draw_second_order(ax, t, colours):
    """Measured loss rise against g'e + e'He/2."""
    cloud = style.LogPoints()
    predicted = np.asarray(t["gradient_nats"]) + np.asarray(t["quadratic_nats"])
    shown = [(p, d) for p, d in zip(predicted, t["delta_nats"]) if p > 0 and d > 0]
    if not shown:
        raise Absent("no scheme has a positive prediction and a positive loss rise")
    for i, scheme in enumerate(t["scheme"]):
        if predicted[i] > 0:
            coordinates, rule = split(scheme)
            cloud.add(predicted[i], t["delta_nats"][i], 2 * t["delta_se_nats"][i],
                      colours[rule], COORDINATE_MARKS.get(coordinates, "X"))
    ends = [min(min(pair) for pair in shown), max(max(pair) for pair in shown)]
    ax.set_xscale("log")
    ax.plot(ends, ends, color=style.FAINT, lw=1, zorder=0)
    cloud.draw(ax)
    style.log_axis(ax.xaxis)
    style.log_axis(ax.yaxis)
    ax.set_xlabel("second order: g'e + e'He/2 (nats)")
    ax.set_ylabel("measured loss rise (nats)")


def schemes_figure(study):
    entries = entries_of(study)
    run, t = max(entries, key=lambda entry: entry[0].size)
    colours = colours_of(t["scheme"])
    figure, (left, right, names) = style.plt.subplots(
        1, 3, figsize=(10.0, 4.6), gridspec_kw={"width_ratios": [1, 1, 0.4]})
    remarks = draw_ladder(left, t, colours)
    draw_second_order(right, t, colours)
    names.set_axis_off()
    names.legend(*left.get_legend_handles_labels(), loc="center left")
    caption = (
        "Left: loss rise on the same validation windows, ± 2 standard errors, of each scheme at "
        "each width; circles: the trained coordinates, squares and dotted: after SmoothQuant, "
        "triangles and dashed: after rotation. Right: the same loss rises against second-order "
        "theory, gradient and Hessian of the held-out loss in the scheme's own coordinates and "
        f"the real rounding error e; grey: perfect prediction.{remarks} Run {run.manifest['run_id']}, {style.count_text(run.size)} quantizable "
        f"parameters, of {style.runs_text([r for r, _ in entries])} that compared schemes.")
    return style.Drawing(figure, "Schemes of quantization", caption, ["Q3"])


def section(study):
    """The table of every run that compared schemes; empty when none did."""
    try:
        found = entries_of(study)
    except Absent:
        return ""
    columns = [("scheme", "")] + [(head, "num") for head in (
        "bits", "bits/weight", "loss rise (nats, ± 2 SE)", "KL (nats)", "top-1", "g'e + e'He/2",
        "coordinates alone")]
    parts = []
    for run, t in found:
        lines = [[text(scheme), f"{t['bits'][i]:.0f}" if t["bits"][i] else "–",
                  f"{t['bits_per_weight'][i]:.3f}",
                  with_error(t["delta_nats"][i], t["delta_se_nats"][i]),
                  f"{t['kl_nats'][i]:.5f}", f"{100 * t['top1_agreement'][i]:.2f} %",
                  f"{t['gradient_nats'][i] + t['quadratic_nats'][i]:.5f}",
                  f"{t['reference_delta_nats'][i]:.1e}"] for i, scheme in enumerate(t["scheme"])]
        parts.append(f"<h3>{text(run.manifest['run_id'])}</h3>{table(columns, lines)}")
    return ("<section id=schemes><h2>Schemes of quantization</h2>" + "".join(parts)
            + "<p class=quiet>Coordinates alone: loss at full precision after smoothing or rotation "
            "minus loss as trained. KL: full precision to quantized, per token.</p></section>")
