"""Figure: the zero-parameter prediction against the measured damage."""

import math

import numpy as np
from matplotlib.lines import Line2D

import growth
import style
from records import Absent, rows, runs_of


def drawable_points(study):
    """Rows of damage without its first-order term where that was measured, as verdict Q3 has it."""
    points = rows(study, "ptq", ["bits", "delta_nats", "delta_se_nats", "predicted_nats",
                                 "predicted_se_nats", "gradient_nats"], "bits")
    for p in points:
        if np.isfinite(p.gradient_nats):
            p.delta_nats = p.delta_nats - p.gradient_nats
    if not any(p.predicted_nats > 0 for p in points):
        raise Absent("no checkpoint has a prediction above zero")
    return points


def draw_slope(ax, study):
    """The fitted line of Q3, or its slope alone; returns what was drawn."""
    slope, constant = study.finding("q3.slope"), study.finding("q3.intercept")
    if not slope:
        return "none"
    slopes = (slope["estimate"], slope["low"], slope["high"])
    if not constant:
        growth.draw_guide(ax, slopes)
        return "slope"
    ends = ax.get_xlim()
    middle = math.sqrt(ends[0] * ends[1])
    height = math.exp(constant["estimate"] + slopes[0] * math.log(middle))
    growth.draw_fan(ax, ends, (middle, height), slopes)
    ax.set_xlim(ends)
    return "lines"


def draw_prediction(ax, study):
    """The panel; returns the points, the collected LogPoints, the number of predictions at or
    below zero and what was drawn of the fit."""
    points = drawable_points(study)
    left = 0.6 * min(p.predicted_nats for p in points if p.predicted_nats > 0)
    cloud, at_left = style.LogPoints(), 0
    for p in points:
        colour = style.bits_colour(p.bits)
        if p.predicted_nats <= 0:
            at_left += 1
            cloud.add(left, p.delta_nats, math.nan, colour, "<", False)
            continue
        cloud.add(p.predicted_nats, p.delta_nats, 2 * p.delta_se_nats, colour,
                  style.variant_mark(p.variant), p.variant == "trunk")
    barred = [p for p in points if p.delta_nats > 0 and p.predicted_nats > 0
              and np.isfinite(p.predicted_se_nats)]
    ax.hlines([p.delta_nats for p in barred],
              [max(p.predicted_nats - 2 * p.predicted_se_nats, left) for p in barred],
              [p.predicted_nats + 2 * p.predicted_se_nats for p in barred],
              color=[style.bits_colour(p.bits) for p in barred], lw=0.9, alpha=0.8, zorder=2)
    ax.set_xscale("log")
    cloud.draw(ax)
    limits = ax.get_xlim(), ax.get_ylim()
    ends = [max(limits[0][0], limits[1][0]), min(limits[0][1], limits[1][1])]
    if ends[0] < ends[1]:
        ax.plot(ends, ends, "-", color=style.FAINT, lw=1.0, zorder=1)
        ax.annotate("1:1", [ends[0] ** 0.15 * ends[1] ** 0.85] * 2, xytext=(5, -4),
                    textcoords="offset points", ha="left", va="top", fontsize=8,
                    color=style.FAINT)
    ax.set_xlim(limits[0]), ax.set_ylim(limits[1])
    drawn = draw_slope(ax, study)
    style.log_axis(ax.xaxis), style.log_axis(ax.yaxis)
    ax.set_xlabel("predicted damage (nats per token)")
    ax.set_ylabel("measured damage δ − g·e (nats per token)")
    handles = [Line2D([], [], marker="o", ls="", ms=4, color=style.bits_colour(b),
                      label=f"{b:g} bits") for b in sorted({p.bits for p in points})]
    handles += style.variant_handles(p.variant for p in points if p.variant != "trunk")
    ax.legend(handles=handles, loc="upper left")
    return points, cloud, at_left, drawn


def prediction_figure(study):
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 5.2))
    points, cloud, at_left, drawn = draw_prediction(ax, study)
    caption = (
        "Measured loss rise δ, less the first-order term g·e of the one rounding (near 0 over many), "
        "against its prediction without free parameters, (1/24) Σ step² tr H over quantizer groups, "
        f"both in nats per token on logarithmic axes, {style.runs_text(runs_of(points))}, all checkpoints and "
        "bits. Bars: 2 standard errors of δ itself. Filled: trunk, open: other variants. Grey line: "
        "perfect prediction.")
    if drawn == "lines":
        caption += (" Dashed: the fit of verdict Q3 to the trunk rows it selects; grey band: the "
                    "slopes in its interval, turned about the middle of the axis.")
    elif drawn == "slope":
        caption += (" Dashed in a corner: the slope of verdict Q3 and its interval; only the slope "
                    "has a meaning, not the height.")
    if at_left:
        caption += (f" Open triangles at the left edge: {at_left} "
                    f"prediction{'s' * (at_left != 1)} at or below zero.")
    return style.Drawing(figure, "Predicted against measured damage", caption + cloud.remarks(),
                         ["Q3"])
