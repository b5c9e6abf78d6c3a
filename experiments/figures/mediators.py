"""Figure: how well each number that could stand between training and damage predicts damage."""

import style
from records import Absent, is_number

OURS = ("prediction_as_is", "prediction")
WORDS = {"prediction_as_is": "the prediction, no parameter", "prediction": "the prediction",
         "trace": "tr H", "lambda_max": "lambda_max", "frobenius": "the Frobenius norm",
         "scale_free_trace": "tr H times squared weight norm",
         "weight_norm2": "squared weight norm", "step2": "squared step", "loss": "loss",
         "tokens": "tokens", "tokens_per_parameter": "tokens per parameter"}
WORST = -0.5  # a bar below is cut there and says so


def bars_of(study):
    """[(mediator, entry)], the best first."""
    bars = study.findings("q3.mediator")
    if not bars:
        raise Absent("no verdict compares predictors of the damage held out")
    return sorted(bars, key=lambda bar: -bar[1]["estimate"])


def draw_bars(ax, bars):
    """Returns how many bars are cut at the axis."""
    cut = 0
    for place, (name, entry) in enumerate(bars):
        value = max(entry["estimate"], WORST)
        cut += value > entry["estimate"]
        ours = name in OURS
        ax.barh(place, value, height=0.62, color="#0072B2" if ours else "#9aa5b1", lw=0)
        right = max(value, 0.0)
        if is_number(entry["low"]) and is_number(entry["high"]):
            ends = [max(entry[end], WORST) for end in ("low", "high")]
            ax.plot(ends, [place] * 2, color=style.INK, lw=1.2)
            right = max(right, ends[1])
        ax.annotate(f"{entry['estimate']:.3g}".replace("-", "−"), (right, place), xytext=(6, 0),
                    textcoords="offset points", va="center", fontsize=8.5,
                    bbox={"fc": "white", "ec": "none", "pad": 1})
    return cut


def mediators_figure(study):
    bars = bars_of(study)
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 1.0 + 0.38 * len(bars)))
    cut = draw_bars(ax, bars)
    ax.axvline(0, color=style.FAINT, lw=0.9, zorder=0)
    ax.axvline(1, color=style.FAINT, lw=0.9, zorder=0, ls=":")
    ax.set_yticks(range(len(bars)), [WORDS.get(name, name) for name, _ in bars])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.margins(x=0.1)
    ax.set_xlabel("held-out R² of ln δ at fixed bits (1: perfect, 0: no better than the bits alone)")
    caption = (
        "Variance of ln δ, δ without its first-order term, that each single number explains in cells "
        f"that its fit did not see, as verdict Q3 gives it, over {style.runs_text(study.drawn_runs('ptq'))}. Black: "
        "intervals. Blue: the zero-parameter prediction, grey: its rivals.")
    if cut:
        caption += f" {cut} bar{'s' * (cut != 1)} cut at {WORST:g}."
    return style.Drawing(figure, "Which number predicts the damage", caption.replace("-0", "−0"),
                         ["Q3"])
