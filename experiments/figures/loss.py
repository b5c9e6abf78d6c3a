"""Figure: training and validation loss over tokens."""

import numpy as np
from matplotlib.lines import Line2D

import style
from records import Absent, rows

BINS_PER_DECADE = 15


def binned_medians(tokens, loss):
    """Medians of the training loss in bins of equal width in ln tokens: display, not a fit."""
    keep = np.isfinite(tokens) & np.isfinite(loss) & (tokens > 0)
    tokens, loss = tokens[keep], loss[keep]
    if not len(tokens):
        return tokens, loss
    bins = np.floor(np.log10(tokens) * BINS_PER_DECADE).astype(int)
    chosen = [bins == b for b in np.unique(bins)]
    return (np.array([np.median(tokens[c]) for c in chosen]),
            np.array([np.median(loss[c]) for c in chosen]))


def show_validation(ax, losses):
    """Limits that fit the validation losses: the first training steps would flatten the rest."""
    losses = [v for v in losses if np.isfinite(v)]
    span = max(max(losses) - min(losses), 0.1)
    ax.set_ylim(min(losses) - 0.08 * span, max(losses) + 0.25 * span)


def draw_loss(ax, study):
    """The panel; returns the runs it shows and the number of losses that are not finite."""
    points = rows(study, "checkpoints", ["loss_nats", "loss_se_nats"])
    if not any(np.isfinite(p.loss_nats) for p in points):
        raise Absent("no checkpoint has a finite validation loss")
    runs = study.drawn_runs("checkpoints")
    colours = style.size_colours(r.size for r in runs)
    ends = {}
    for run in runs:
        colour = colours[run.size]
        if "series" in run.groups:
            x, y = binned_medians(run.array("series", "tokens"), run.array("series", "loss_nats"))
            ax.plot(x, y, "-", color=colour, lw=0.8, alpha=0.45, zorder=1)
        mine = sorted((p for p in points if p.run is run and np.isfinite(p.loss_nats)),
                      key=lambda p: p.tokens)
        trunk = [p for p in mine if p.variant == "trunk"]
        ax.plot([p.tokens for p in trunk], [p.loss_nats for p in trunk], "-", color=colour,
                lw=1.2, zorder=2)
        for p in mine:
            if np.isfinite(p.loss_se_nats):
                bar = 2 * p.loss_se_nats
                ax.plot([p.tokens] * 2, [p.loss_nats - bar, p.loss_nats + bar], "-",
                        color=colour, lw=0.9, zorder=2)
            ax.plot([p.tokens], [p.loss_nats], style.variant_mark(p.variant), ms=4, mec=colour,
                    mfc=colour if p.variant == "trunk" else "white", zorder=3)
        for p in trunk[-1:]:
            ends[run.size] = max(ends.get(run.size, (0, 0)), (p.tokens, p.loss_nats))
    show_validation(ax, [p.loss_nats for p in points])
    ax.set_xscale("log")
    first = [p.tokens for p in points if p.tokens > 0]
    if first:
        ax.set_xlim(left=min(first) / 3)
    style.log_axis(ax.xaxis)
    style.label_ends(ax, {style.count_text(size) + " params": (*end, colours[size])
                          for size, end in ends.items()})
    ax.set_xlabel("training tokens D")
    ax.set_ylabel("loss (nats per token)")
    handles = style.variant_handles((p.variant for p in points), "validation, ")
    if any("series" in r.groups for r in runs):
        handles.append(Line2D([], [], color=style.FAINT, lw=0.8, label="training, binned"))
    ax.legend(handles=handles, loc="upper right")
    return runs, sum(not np.isfinite(p.loss_nats) for p in points)


def loss_figure(study):
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 4.2))
    runs, lost = draw_loss(ax, study)
    caption = (
        f"Loss in nats per token against training tokens, {style.runs_text(runs)}; one colour per "
        "number of quantizable parameters, one line per run. Marks: validation loss at the "
        "checkpoints with bars of 2 standard errors (mostly smaller than the mark). Thin lines: "
        f"medians of the training loss in {BINS_PER_DECADE} bins per decade of tokens; the axis "
        "fits the validation losses, so early training losses may lie above it.")
    if lost:
        caption += f" Not drawn: {lost} not finite validation loss{'es' * (lost != 1)}."
    return style.Drawing(figure, "Loss over tokens", caption, [])
