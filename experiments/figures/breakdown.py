"""Figure: where precision sites stop acting independently, as maps of their interactions."""

import re
from collections import defaultdict

from matplotlib.colors import TwoSlopeNorm

import style
from composition import draw_table
from records import Absent, is_number, runs_of, rows

CELL = re.compile(r"(?:w([\d_]+))?(?:a([\d_]+))?(?:kv([\d_]+))?")
SITES = ("weights", "activations", "KV")
WITHIN, ABOVE, BELOW, OPEN = "●", "▲", "▼", "○"


def maps_of(study):
    """{(sites, KV bits or None): {(row bits, column bits): entry}}."""
    maps = defaultdict(dict)
    for cell, entry in study.findings("q6.interaction"):
        bits = CELL.fullmatch(cell)
        sites = [k for k in range(3) if bits and bits[k + 1]]
        if len(sites) < 2:
            continue
        along = tuple(float(bits[k + 1].replace("_", ".")) for k in sites)
        maps[tuple(sites), along[2] if len(along) > 2 else None][along[:2]] = entry
    if not maps:
        raise Absent("no verdict gives interactions of precision sites by cell")
    return dict(sorted(maps.items(), key=lambda m: (len(m[0][0]), m[0][0], m[0][1] or 0)))


def mark_of(entry, tolerance):
    """What the interval says about independence within the tolerance."""
    if not (is_number(entry["low"]) and is_number(entry["high"]) and is_number(tolerance)):
        return OPEN
    if -tolerance <= entry["low"] and entry["high"] <= tolerance:
        return WITHIN
    return ABOVE if entry["low"] > tolerance else BELOW if entry["high"] < -tolerance else OPEN


def bits_of(maps, sites):
    """Bits along rows and columns, the same for all maps of these sites."""
    cells = [cell for (of, _), found in maps.items() if of == sites for cell in found]
    return [sorted({cell[i] for cell in cells}) for i in (0, 1)]


def draw_map(ax, sites, kv, cells, bits, norm, tolerance):
    rows_, columns = bits
    entries = [[cells.get((r, c)) for c in columns] for r in rows_]
    draw_table(ax, rows_, columns,
               [[style.plt.cm.PuOr_r(norm(e["estimate"])) if e else "#f4f4f4" for e in line]
                for line in entries],
               [[f"{e['estimate']:+.2f}\n{mark_of(e, tolerance)}".replace("-", "−") if e else "–"
                 for e in line] for line in entries])
    ax.set_ylabel(f"bits of {SITES[sites[0]]}"), ax.set_xlabel(f"bits of {SITES[sites[1]]}")
    names = " × ".join(("W", "A", "KV")[k] for k in sites)
    ax.set_title(names if kv is None else f"{names}, KV {kv:g} bits")


def breakdown_figure(study):
    maps = maps_of(study)
    thresholds = {t["name"]: t["value"] for t in study.verdict("Q6")["thresholds"]}
    tolerance = thresholds.get("q6_breakdown", thresholds.get("q6_tolerance"))
    reach = max(0.05, *(min(abs(e["estimate"]), 1.0) for m in maps.values() for e in m.values()))
    columns = min(len(maps), 3)
    tallest = max(len({cell[0] for cell in cells}) for cells in maps.values())
    lines = -(-len(maps) // columns)
    figure, axes = style.plt.subplots(lines, columns, squeeze=False,
                                      figsize=(style.WIDTH, lines * (0.8 + 0.42 * tallest)))
    for ax, ((sites, kv), cells) in zip(axes.flat, maps.items()):
        draw_map(ax, sites, kv, cells, bits_of(maps, sites), TwoSlopeNorm(0, -reach, reach),
                 tolerance)
    for ax in axes.flat[len(maps):]:
        ax.set_axis_off()
    measured = rows(study, "factorial", ["delta_nats"], "cell")
    caption = (
        "Interaction of precision sites relative to the sum of their single damages, (joint − what "
        f"smaller sets of sites explain) / sum, as verdict Q6 gives it over the factorial "
        f"of {style.runs_text(runs_of(measured))}; the other sites unquantized. 0: the damages add "
        "up; orange: more than the sum, violet: less. Marks, by the interval of the cell: "
        f"{WITHIN} inside ± {tolerance or 0:g}, {ABOVE} wholly above, {BELOW} wholly below, {OPEN} "
        "undecided; –: no usable cell.")
    if any(len(sites) == 3 for sites, _ in maps):
        caption += " Maps of three sites show what no pair of them explains."
    return style.Drawing(figure, "Where precision sites stop being independent", caption,
                         ["Q6"])
