"""How every figure looks: palette, fonts, log axes that lose no point, reproducible files.

Widths are in inches at 100 pixels each, so that a figure 7 wide is legible at 700 pixels.
"""

from collections import defaultdict, namedtuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402  (the backend must be chosen first)
import numpy as np  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogFormatterMathtext, NullFormatter  # noqa: E402

WIDTH = 7.0
INK = "#222222"
FAINT = "#8a8a8a"
FLOOR_MARK = "v"

# Okabe and Ito (2008): told apart by all common forms of colour blindness.
BITS_COLOURS = {2: "#CC79A7", 3: "#D55E00", 4: "#0072B2", 5: "#009E73", 6: "#E69F00", 8: "#56B4E9"}
SUBSPACE_COLOURS = {"top": "#D55E00", "random": "#0072B2", "complement": "#009E73",
                    "isotropic": "#555555"}
VARIANT_MARKS = {"trunk": "o", "cooled": "s", "cooled_fixed": "^", "ema": "D", "lawa": "P"}

#: A finished figure: matplotlib's object, its caption, the ids of the questions it serves.
Drawing = namedtuple("Drawing", "figure title caption questions")


def use_house_style():
    """Settings for all figures; the fixed salt makes equal figures equal SVG bytes."""
    matplotlib.rcdefaults()
    matplotlib.rcParams.update({
        "svg.hashsalt": "hone", "svg.fonttype": "path", "figure.dpi": 100, "savefig.dpi": 200,
        "figure.constrained_layout.use": True, "font.size": 9, "axes.labelsize": 9,
        "axes.titlesize": 9.5, "axes.titlelocation": "left", "legend.fontsize": 8,
        "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.frameon": False,
        "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#555555",
        "axes.labelcolor": INK, "text.color": INK, "xtick.color": "#444444",
        "ytick.color": "#444444", "axes.linewidth": 0.8, "lines.linewidth": 1.4,
        "errorbar.capsize": 0, "font.family": "DejaVu Sans", "axes.grid": False,
    })


def save(figure, stem):
    """Writes STEM.svg and STEM.png without dates or program names; returns both paths."""
    paths = [stem.with_suffix(".svg"), stem.with_suffix(".png")]
    figure.savefig(paths[0], metadata={"Date": None, "Creator": None})
    figure.savefig(paths[1], metadata={"Software": None})
    plt.close(figure)
    return paths


def count_text(value):
    """A count in a reader's units: 1.2M, 310k."""
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def size_colours(sizes):
    """One colour per model size, dark for large; ordered in lightness as well as in hue."""
    ordered = sorted(set(sizes))
    places = np.linspace(0.72, 0.05, len(ordered)) if len(ordered) > 1 else [0.35]
    return {size: matplotlib.colors.to_hex(plt.cm.viridis(p)) for size, p in zip(ordered, places)}


def bits_colour(bits):
    return BITS_COLOURS.get(int(bits), "#000000")


def variant_mark(variant):
    return VARIANT_MARKS.get(variant, "X")


def variant_handles(variants, prefix=""):
    """Legend entries of these variants, the known ones first; the trunk's mark is filled."""
    present = set(variants)
    ordered = [v for v in VARIANT_MARKS if v in present] + sorted(present - set(VARIANT_MARKS))
    return [Line2D([], [], marker=variant_mark(v), ls="", ms=4, mec=INK,
                   mfc=INK if v == "trunk" else "white", label=prefix + v.replace("_", " "))
            for v in ordered]


def panels_below_legend(figure, lines, columns, handles, ncol, share):
    """A grid of panels whose first line, `share` of a panel high, holds the legend of them all."""
    grid = figure.add_gridspec(lines + 1, columns, height_ratios=[share] + [1] * lines)
    legend = figure.add_subplot(grid[0, :])
    legend.set_axis_off()
    legend.legend(handles=handles, loc="center", ncol=ncol)
    return grid


def log_axis(axis):
    """A log axis whose minor ticks carry numbers only where a decade or less is shown."""
    low, high = axis.get_view_interval()
    axis.set_minor_formatter(NullFormatter())
    if low > 0 and high / low < 30:
        plain = FuncFormatter(lambda v, _: count_text(v) if v >= 1e3 else f"{v:.3g}")
        axis.set_minor_locator(matplotlib.ticker.LogLocator(subs=(2, 5)))
        axis.set_minor_formatter(plain)
        axis.set_major_formatter(plain)
    else:
        axis.set_major_formatter(LogFormatterMathtext())


class LogPoints:
    """Points for a panel with a log y axis. Values at or below zero are set at a floor as open
    triangles and counted; values that are not finite are counted. Nothing vanishes unsaid."""

    def __init__(self):
        self.points = []
        self.at_floor = 0
        self.not_finite = 0

    def add(self, x, y, half_bar, colour, mark, is_filled=True):
        """Collects one point; `half_bar` is two standard errors or NaN."""
        if not (np.isfinite(x) and np.isfinite(y)):
            self.not_finite += 1
            return
        self.at_floor += int(not y > 0)
        self.points.append((x, y, half_bar, colour, mark, is_filled))

    def draw(self, ax):
        positive = [p[1] for p in self.points if p[1] > 0]
        floor = 0.6 * min(positive) if positive else 1e-6
        ax.set_yscale("log")
        alike = defaultdict(list)
        for x, y, half_bar, *look in self.points:
            alike[tuple(look) + (bool(y > 0),)].append((x, y, half_bar))
        for (colour, mark, is_filled, is_positive), points in alike.items():
            x, y, half_bar = np.array(points).T
            if not is_positive:
                ax.plot(x, np.full(len(x), floor), FLOOR_MARK, mfc="none", mec=colour, ms=5.5,
                        zorder=4, clip_on=False)
                continue
            known = np.isfinite(half_bar)
            ax.vlines(x[known], np.maximum(y - half_bar, floor)[known], (y + half_bar)[known],
                      color=colour, lw=0.9, alpha=0.8, zorder=2)
            ax.plot(x, y, mark, mec=colour, mfc=colour if is_filled else "white", ms=4, mew=1.0,
                    zorder=3)

    def remarks(self):
        """What a caption must say about the points that a log axis cannot show."""
        said = ""
        if self.at_floor:
            said += (f" Open triangles at the floor of an axis: {self.at_floor} "
                     f"value{'s' * (self.at_floor != 1)} at or below zero.")
        if self.not_finite:
            said += (f" Not drawn: {self.not_finite} value{'s' * (self.not_finite != 1)} that "
                     f"{'were' if self.not_finite != 1 else 'was'} not measured or not finite.")
        return said


def label_ends(ax, ends):
    """Direct labels at the heights of the curves' ends, {text: (x, y, colour)}, in one column right
    of them all, moved apart where they would overlap. Call it after the limits are final."""
    height = 9.5 / 72 * 100 / (ax.figure.get_figheight() * 100 * ax.get_position().height)
    ax.set_xlim(ax.get_xlim()), ax.set_ylim(ax.get_ylim())
    to_axes = ax.transData + ax.transAxes.inverted()
    right = max((x for x, _, _ in ends.values()), default=0)
    lowest = -1.0
    for text, (_, y, colour) in sorted(ends.items(), key=lambda e: e[1][1]):
        place = to_axes.transform((right, y))
        lowest = max(place[1], lowest + height)
        ax.annotate(text, (place[0], lowest), xycoords="axes fraction", xytext=(6, 0),
                    textcoords="offset points", va="center", fontsize=8, color=colour,
                    annotation_clip=False)


def runs_text(runs):
    """"12 runs of 3 sizes, 2 seeds" """
    sizes = {run.size for run in runs}
    seeds = {run.manifest["seed"] for run in runs}

    def counted(number, word):
        return f"{number} {word}{'s' * (number != 1)}"

    return (f"{counted(len(runs), 'run')} of {counted(len(sizes), 'model size')}, "
            f"{counted(len(seeds), 'seed')}")
