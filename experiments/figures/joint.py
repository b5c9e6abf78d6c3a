"""Figure: effective size of sites lowered together in training, against the product of single sites."""

import re

import style
from records import Absent, is_number, rows, runs_of

CELL = re.compile(r"(w[\d_]+)?(a[\d_]+)?(kv[\d_]+)?")
LOOKS = {("W", "A"): ("weights × activations", "#0072B2", "o"),
         ("W", "KV"): ("weights × KV", "#D55E00", "s"),
         ("A", "KV"): ("activations × KV", "#009E73", "^"),
         ("W", "A", "KV"): ("all three", "#CC79A7", "D")}


def sites_of(cell):
    """The sites of "w3a4", as LOOKS names them."""
    found = CELL.fullmatch(cell)
    return tuple(name for name, bits in zip(("W", "A", "KV"), found.groups()) if bits) if found else ()


def cells_of(study):
    """[(cell, sites, measured, product)]: entries of N_eff/N, measured and as the product has it."""
    products = dict(study.findings("q12.product"))
    cells = [(cell, sites_of(cell), entry, products[cell])
             for cell, entry in study.findings("q12.fraction") if cell in products]
    cells = [c for c in cells if c[1] in LOOKS]
    if not cells:
        raise Absent("no verdict gives the effective size of sites lowered together in training")
    return cells


def draw_cells(ax, cells):
    for cell, sites, measured, product in cells:
        _, colour, mark = LOOKS[sites]
        x, y = product["estimate"], measured["estimate"]
        if is_number(measured["low"]) and is_number(measured["high"]):
            ax.plot([x, x], [measured["low"], measured["high"]], "-", color=colour, lw=1.2)
        if is_number(product["low"]) and is_number(product["high"]):
            ax.plot([product["low"], product["high"]], [y, y], "-", color=colour, lw=1.2)
        ax.plot([x], [y], mark, color=colour, ms=5.5)
        ax.annotate(cell.upper().replace("_", "."), (x, y), xytext=(5, -9),
                    textcoords="offset points", fontsize=7.5, color=colour)
    for sites, (name, colour, mark) in LOOKS.items():
        if any(c[1] == sites for c in cells):
            ax.plot([], [], mark, color=colour, ms=5.5, label=name)


def draw_identity(ax):
    """The product of single sites, over the range that is drawn."""
    low = min(ax.get_xlim()[0], ax.get_ylim()[0])
    high = max(ax.get_xlim()[1], ax.get_ylim()[1])
    ax.plot([low, high], [low, high], "-", color=style.FAINT, lw=1.0, zorder=0)


def joint_figure(study):
    cells = cells_of(study)
    figure, ax = style.plt.subplots(figsize=(style.WIDTH, 4.6))
    draw_cells(ax, cells)
    draw_identity(ax)
    ax.set_xlabel("product of the single sites' N_eff / N (a pure number)")
    ax.set_ylabel("N_eff / N of the joint model (a pure number)")
    ax.legend(loc="upper left")
    lowered = rows(study, "qat", ["loss_nats"], None, True, ("trunk",))
    caption = (
        "Share of parameters that a model in full precision would need for the loss of a model with "
        "several sites at few bits in training, against the product of that share of each site alone, "
        "as verdict Q12 gives them for each set of bits, with intervals, over "
        f"{style.runs_text(runs_of(lowered))} at low precision. Grey: equality, the law of Kumar et al. "
        "Above it, sites lowered together cost less than the product, below it more.")
    return style.Drawing(figure, "Precision of several sites in training", caption, ["Q12"])
