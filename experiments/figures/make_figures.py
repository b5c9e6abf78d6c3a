"""All figures of a study: which there are, and how they become files."""

import style
from along_text import along_text_figure
from architecture import architecture_figure
from bits import bits_figure
from breakdown import breakdown_figure
from composition import composition_figure, draw_damage
from decode import decode_figure
from experts import experts_figure
from few_bits import few_bits_figure
from growth import (damage_points, draw_growth, growth_figure, law_of_damage, law_of_sharpness,
                    sharpness_points)
from injection import injection_figure
from joint import joint_figure
from loss import draw_loss, loss_figure
from mediators import mediators_figure
from noise import noise_figure
from per_bit import per_bit_figure
from plateau import plateau_figure
from prediction import draw_prediction, prediction_figure
from ratio import ratio_figure
from records import Absent
from removed_bits import removed_bits_figure, rounding_figure
from schedules import schedules_figure
from scheme_laws import scheme_laws_figure
from schemes import schemes_figure
from spectrum import spectrum_figure
from split import split_figure
from sum_rule import sum_rule_figure
from tasks import tasks_figure
from training_precision import training_precision_figure
from transfer import transfer_figure
from tuning import tuning_figure


def panel(draw, *arguments):
    """Draws one panel of the overview; a panel without data says so and stays empty."""
    ax = arguments[0]
    try:
        draw(*arguments)
        return True
    except Absent as reason:
        ax.clear()
        ax.set_axis_off()
        ax.annotate(f"not measured:\n{reason}", (0.5, 0.5), xycoords="axes fraction",
                    ha="center", va="center", fontsize=8, color=style.FAINT, wrap=True)
        return False


def draw_growth_pair(upper, lower, study):
    """Trace above, δ at 4 bits below, over one axis of tokens per parameter."""
    def upper_panel(ax, study):
        draw_growth(ax, sharpness_points(study, "trace"), "trace of the Hessian",
                    law_of_sharpness(study, "trace"))

    def lower_panel(ax, study):
        draw_growth(ax, damage_points(study, 4), "δ at 4 bits (nats)", law_of_damage(study, 4))

    drawn = [panel(upper_panel, upper, study), panel(lower_panel, lower, study)]
    lower.set_xlabel("tokens per parameter D/N")
    return any(drawn)


def overview_figure(study):
    """Four panels for a reader with one minute."""
    figure = style.plt.figure(figsize=(10.0, 7.8))
    grid = figure.add_gridspec(4, 2)
    loss, prediction = figure.add_subplot(grid[:2, 0]), figure.add_subplot(grid[2:, 0])
    upper, lower = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
    table = figure.add_subplot(grid[2:, 1])
    drawn = [panel(draw_loss, loss, study), draw_growth_pair(upper, lower, study),
             panel(draw_prediction, prediction, study), panel(draw_damage, table, study)]
    for ax, letter in ((loss, "a"), (upper, "b"), (prediction, "c"), (table, "d")):
        ax.set_title(f"{letter}  {ax.get_title(loc='left')}".rstrip(), fontweight="bold")
    if not any(drawn):
        style.plt.close(figure)
        raise Absent("no panel has data")
    caption = (
        "(a) Validation loss (marks) and training loss (thin) against training tokens. (b) Trace "
        "of the Hessian and loss rise δ at 4 bits per weight against tokens per parameter. (c) "
        "Measured against predicted δ; grey line: perfect prediction. (d) δ when weights and "
        "activations are quantized together. Dashed: fits or slopes of the verdicts; open "
        "triangles at an edge, where there are any: values at or below zero. Each panel stands "
        "below in full, with its marks, units and number of runs. "
        f"{style.runs_text(study.drawn_runs('checkpoints'))} in all.")
    return style.Drawing(figure, "Overview", caption, [])


FIGURES = {
    "overview": overview_figure,
    "loss": loss_figure,
    "spectrum": spectrum_figure,
    "growth": growth_figure,
    "ratio": ratio_figure,
    "plateau": plateau_figure,
    "bits": bits_figure,
    "prediction": prediction_figure,
    "split": split_figure,
    "mediators": mediators_figure,
    "noise": noise_figure,
    "injection": injection_figure,
    "schedules": schedules_figure,
    "transfer": transfer_figure,
    "composition": composition_figure,
    "breakdown": breakdown_figure,
    "per_bit": per_bit_figure,
    "training_precision": training_precision_figure,
    "joint": joint_figure,
    "few_bits": few_bits_figure,
    "architecture": architecture_figure,
    "experts": experts_figure,
    "schemes": schemes_figure,
    "scheme_laws": scheme_laws_figure,
    "decode": decode_figure,
    "along_text": along_text_figure,
    "tasks": tasks_figure,
    "tuning": tuning_figure,
    "removed_bits": removed_bits_figure,
    "rounding": rounding_figure,
    "sum_rule": sum_rule_figure,
}


def make_figures(study):
    """Writes every figure that the study has data for and removes what an earlier call left of
    the others. Returns {name: Drawing}, {name: reason} and the paths written."""
    style.use_house_style()
    folder = study.folder / "figures"
    folder.mkdir(exist_ok=True)
    drawings, absent, written = {}, {}, []
    for name, draw in FIGURES.items():
        try:
            drawings[name] = draw(study)
        except Absent as reason:
            absent[name] = str(reason)
            style.plt.close("all")
            for suffix in (".svg", ".png"):
                (folder / (name + suffix)).unlink(missing_ok=True)
            continue
        written += style.save(drawings[name].figure, folder / name)
    return drawings, absent, written
