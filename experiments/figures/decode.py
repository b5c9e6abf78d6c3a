"""Decoding with a quantized cache and with falling precision: the figure and the tables."""

import re

import numpy as np

import style
from markup import table, text, with_error
from records import Absent, is_number

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555", "#8C510A",
           "#5E3C99"]
MARKS = ["o", "s", "^", "D", "P"]


def looks(names):
    """{policy: (colour, mark)}, no two alike for 45 policies."""
    return {name: (COLOURS[i % len(COLOURS)], MARKS[i // len(COLOURS) % len(MARKS)])
            for i, name in enumerate(names)}


def exponent_text(study, policy):
    """Of the position in the damage under a policy, as verdict Q19 gives it; empty where it does not."""
    key = re.sub("[^a-z0-9]+", "_", policy.lower()).strip("_")
    entry = study.finding(f"q19.exponent.{key}")
    if not entry or not is_number(entry["low"]):
        return ""
    return f"\n  {entry['estimate']:.2f} ({entry['low']:.2f} to {entry['high']:.2f})"


def draw_positions(ax, run, look, study):
    """Loss rise against the middle of each octave of positions."""
    first, last = run.array("decode", "first"), run.array("decode", "last")
    delta, error = run.array("decode", "delta_nats"), run.array("decode", "delta_se_nats")
    if not (np.isfinite(delta) & (delta > 0)).any():
        raise Absent("no cache policy has a positive loss rise")
    cloud = style.LogPoints()
    middle = np.sqrt(np.maximum(first, 1) * last)
    for i, (name, (colour, mark)) in enumerate(look.items()):
        for x, y, e in zip(middle, delta[i], error[i]):
            cloud.add(x, y, 2 * e, colour, mark)
        shown = delta[i] > 0
        ax.plot(middle[shown], delta[i][shown], lw=0.9, color=colour, zorder=1)
        ax.plot([], [], color=colour, marker=mark, ms=4, lw=0.9, label=name + exponent_text(study, name))
    ax.set_xscale("log", base=2)
    cloud.draw(ax)
    style.log_axis(ax.yaxis)
    ax.set_xlabel("position (tokens)")
    ax.set_ylabel("loss rise (nats)")
    return cloud.remarks()


def draw_copies(ax, run, look):
    """Loss of a copied block minus full precision, against its distance."""
    if "decode_copy" not in run.groups:
        ax.set_axis_off()
        return
    distance = run.array("decode_copy", "distance")
    delta, error = (run.array("decode_copy", name) for name in ("delta_nats", "delta_se_nats"))
    for i, (colour, mark) in enumerate(look.values()):
        ax.errorbar(distance, delta[i], 2 * error[i], color=colour, marker=mark, ms=3.5, lw=0.9)
    ax.axhline(0, color=style.FAINT, lw=0.8, zorder=0)
    ax.set_xscale("log", base=2)
    ax.set_xlabel("distance of the copy (tokens)")
    ax.set_ylabel("rise of the copy's loss (nats)")


def draw_free_runs(ax, run, look):
    """Share of equal tokens by generated position, greedy."""
    agreement = run.array("decode_free", "greedy_agreement")
    for i, (colour, _) in enumerate(look.values()):
        ax.plot(np.arange(1, agreement.shape[1] + 1), agreement[i], color=colour, lw=1.0)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("generated token")
    ax.set_ylabel("share equal to full precision")


def decode_figure(study):
    runs = study.drawn_runs("decode")
    run = max(runs, key=lambda r: r.size)
    look = looks(run.array("decode", "policy"))
    figure, (left, middle, right, names) = style.plt.subplots(
        1, 4, figsize=(10.0, 3.8), gridspec_kw={"width_ratios": [1, 1, 1, 0.45]})
    remarks = draw_positions(left, run, look, study)
    draw_copies(middle, run, look)
    if "decode_free" in run.groups:
        draw_free_runs(right, run, look)
    else:
        right.set_axis_off()
    names.set_axis_off()
    names.legend(*left.get_legend_handles_labels(), loc="center left")
    caption = (
        "Left: teacher-forced loss rise of each cache policy by octave of position, same windows; in the legend "
        "the exponent of the position over all runs, where verdict Q19 gives it. "
        "Middle: rise of the loss of a block of random tokens when it is repeated, by distance. "
        "Both ± 2 standard errors over windows. Right: share of greedy free runs whose token at "
        f"that place equals the one of full precision.{remarks} Run {run.manifest['run_id']}, "
        f"{style.count_text(run.size)} quantizable parameters, of {style.runs_text(runs)} that "
        "decoded with a quantized cache.")
    return style.Drawing(figure, "Quantized cache", caption, ["Q19"])


def bits_text(bits):
    """Of a cached number; a dash where an older run file has none."""
    return f"{bits:.3f}" if np.isfinite(bits) else "–"


def policy_lines(run):
    """One line per policy: storage, loss rise overall and in the last octave."""
    rows = {name: run.array("decode", name) for name in (
        "key_bits", "value_bits", "mean_delta_nats", "mean_delta_se_nats", "delta_nats",
        "delta_se_nats")}
    return [[text(name), bits_text(rows["key_bits"][i]), bits_text(rows["value_bits"][i]),
             with_error(rows["mean_delta_nats"][i], rows["mean_delta_se_nats"][i]),
             with_error(rows["delta_nats"][i, -1], rows["delta_se_nats"][i, -1])]
            for i, name in enumerate(run.array("decode", "policy"))]


def copy_lines(run):
    """One line per policy: rise of the copy's loss at the shortest and the longest distance."""
    delta, error = (run.array("decode_copy", name) for name in ("delta_nats", "delta_se_nats"))
    return [[text(name), with_error(delta[i, 0], error[i, 0]), with_error(delta[i, -1], error[i, -1])]
            for i, name in enumerate(run.array("decode_copy", "policy"))]


def free_lines(run):
    """One line per policy: storage in the free runs, equal tokens and agreement, greedy."""
    keys, values, first, agreement = (run.array("decode_free", name) for name in (
        "key_bits", "value_bits", "greedy_first_difference", "greedy_agreement"))
    return [[text(name), bits_text(keys[i]), bits_text(values[i]), f"{first[i].mean():.1f}",
             f"{100 * agreement[i, -1]:.1f} %"]
            for i, name in enumerate(run.array("decode_free", "policy"))]


def schedule_lines(run):
    names = ("average_bits", "first_bits", "last_bits", "mean_delta_nats", "mean_delta_se_nats",
             "to_uniform_nats", "to_uniform_se_nats")
    rows = {name: run.array("decode_schedules", name) for name in names}
    return [[text(name), f"{rows['average_bits'][i]:.3f}",
             f"{rows['first_bits'][i]:.0f} → {rows['last_bits'][i]:.0f}",
             with_error(rows["mean_delta_nats"][i], rows["mean_delta_se_nats"][i]),
             with_error(rows["to_uniform_nats"][i], rows["to_uniform_se_nats"][i])]
            for i, name in enumerate(run.array("decode_schedules", "schedule"))]


def columns(name, *numbers):
    return [(name, "")] + [(head, "num") for head in numbers]


def section(study):
    """The tables of every run that decoded; empty when none did."""
    parts = []
    for run in study.runs:
        found = [group for group in ("decode", "decode_schedules") if group in run.groups]
        if found:
            parts.append(f"<h3>{text(run.manifest['run_id'])}</h3>")
        if "decode" in found:
            parts.append(table(columns("policy", "bits per key", "bits per value",
                                       "loss rise (nats)", "in the last octave"),
                               policy_lines(run)))
        if "decode" in found and "decode_copy" in run.groups:
            shortest, longest = run.array("decode_copy", "distance")[[0, -1]]
            parts.append(table(columns("policy", f"rise of a copy at {shortest} tokens (nats)",
                                       f"at {longest} tokens"), copy_lines(run)))
        if "decode" in found and "decode_free" in run.groups:
            parts.append(table(columns("policy", "bits per key", "bits per value", "equal tokens",
                                       "agreement at the end"), free_lines(run)))
        if "decode_schedules" in found:
            parts.append(table(columns("schedule", "average bits", "widths", "loss rise (nats)",
                                       "minus uniform"), schedule_lines(run)))
    if not parts:
        return ""
    return ("<section id=decode><h2>Decoding token by token</h2>" + "".join(parts)
            + "<p class=quiet>Bits of a cached number with its steps: beside the loss rise at the "
            "full length of the windows, beside free runs at their last token. Equal tokens: before the "
            "first difference of a greedy free run, mean over prompts. "
            "Schedules: weights as nested codes, teacher-forced after a prompt at the stored "
            "width; uniform has the same average. ± 2 standard errors over windows.</p></section>")
