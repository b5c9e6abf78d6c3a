"""Figure: where precision sites stop acting independently, as maps of their interactions."""

import re
from collections import defaultdict

from matplotlib.colors import TwoSlopeNorm

import style
from composition import draw_table
from records import Absent, is_number, runs_of, rows

CELL = re.compile(r"(?:w([\d_]+))?(?:a([\d_]+))?(?:kv([\d_]+))?")
SITES = ("weights", "activations", "KV")
WITHIN, ABOVE, BELOW, MORE, LESS, OPEN = "●", "▲", "▼", "△", "▽", "○"


def maps_of(study):
    """{(sites, KV bits or None): {(row bits, column bits): entry}}, each entry with the interaction
    of independent noise; "dominated" marks those relative to the smaller damage."""
    maps = defaultdict(dict)
    for group, of_noise in (("q6.dominated", "q6.dominated_independent"),
                            ("q6.interaction", "q6.independent")):
        noise = dict(study.findings(of_noise))
        for cell, entry in study.findings(group):
            bits = CELL.fullmatch(cell)
            sites = [k for k in range(3) if bits and bits[k + 1]]
            if len(sites) < 2:
                continue
            along = tuple(float(bits[k + 1].replace("_", ".")) for k in sites)
            maps[tuple(sites), along[2] if len(along) > 2 else None][along[:2]] = entry | {
                "independent": noise.get(cell, {}).get("estimate"),
                "dominated": group == "q6.dominated"}
    if not maps:
        raise Absent("no verdict gives interactions of precision sites by cell")
    return dict(sorted(maps.items(), key=lambda m: (len(m[0][0]), m[0][0], m[0][1] or 0)))


def mark_of(entry, effects, tolerance):
    """The sign that the interval resolves, first beyond the cell's own band, which is `effects` times
    the interaction of independent noise; else whether it lies within the larger of band and tolerance."""
    if not all(is_number(entry[key]) for key in ("low", "high", "independent")):
        return OPEN
    band = effects * entry["independent"]
    within = max(band, tolerance)
    for mark, is_so in ((ABOVE, entry["low"] > band), (BELOW, entry["high"] < -band),
                        (MORE, entry["low"] > 0), (LESS, entry["high"] < 0),
                        (WITHIN, -within <= entry["low"] and entry["high"] <= within)):
        if is_so:
            return mark
    return OPEN


def text_of(entry, effects, tolerance):
    """Value and mark; in brackets where one site dominates."""
    if not entry:
        return "–"
    value = f"{entry['estimate']:+.2f}".replace("-", "−")
    return (f"({value})" if entry["dominated"] else value) + f"\n{mark_of(entry, effects, tolerance)}"


def bits_of(maps, sites):
    """Bits along rows and columns, the same for all maps of these sites."""
    cells = [cell for (of, _), found in maps.items() if of == sites for cell in found]
    return [sorted({cell[i] for cell in cells}) for i in (0, 1)]


def draw_map(ax, sites, kv, cells, bits, norm, effects, tolerance):
    rows_, columns = bits
    entries = [[cells.get((r, c)) for c in columns] for r in rows_]
    draw_table(ax, rows_, columns,
               [[style.plt.cm.PuOr_r(norm(e["estimate"])) if e else "#f4f4f4" for e in line]
                for line in entries],
               [[text_of(e, effects, tolerance) for e in line] for line in entries])
    ax.set_ylabel(f"bits of {SITES[sites[0]]}"), ax.set_xlabel(f"bits of {SITES[sites[1]]}")
    names = " × ".join(("W", "A", "KV")[k] for k in sites)
    ax.set_title(names if kv is None else f"{names}, KV {kv:g} bits")


def breakdown_figure(study):
    maps = maps_of(study)
    thresholds = {t["name"]: t["value"] for t in study.verdict("Q6")["thresholds"]}
    effects, tolerance = thresholds["q6_effects"], thresholds["q6_tolerance"]
    reach = max(0.05, *(min(abs(e["estimate"]), 1.0) for m in maps.values() for e in m.values()))
    columns = min(len(maps), 3)
    tallest = max(len({cell[0] for cell in cells}) for cells in maps.values())
    lines = -(-len(maps) // columns)
    figure, axes = style.plt.subplots(lines, columns, squeeze=False,
                                      figsize=(style.WIDTH, lines * (0.8 + 0.42 * tallest)))
    for ax, ((sites, kv), cells) in zip(axes.flat, maps.items()):
        draw_map(ax, sites, kv, cells, bits_of(maps, sites), TwoSlopeNorm(0, -reach, reach),
                 effects, tolerance)
    for ax in axes.flat[len(maps):]:
        ax.set_axis_off()
    measured = rows(study, "factorial", ["delta_nats"], "cell")
    caption = (
        "Interaction of precision sites quantized after training, relative to the sum of their single "
        "damages, (joint − what smaller sets of sites explain) / sum, as verdict Q6 gives it over the "
        f"factorial of {style.runs_text(runs_of(measured))}; the other sites unquantized. 0: the "
        "damages add up; orange: more than the sum, violet: less. Marks, by intervals of which all in "
        f"a map hold together: {ABOVE} more and {BELOW} less than the sum by more than {effects:g} "
        f"times what independent noise gives, {MORE} more, {LESS} less, {WITHIN} inside "
        f"± {tolerance:g} or its own band, {OPEN} undecided; in brackets, relative to the smaller "
        "damage: one site dominates; –: no usable cell.")
    if any(len(sites) == 3 for sites, _ in maps):
        caption += " Maps of three sites show what no pair of them explains."
    return style.Drawing(figure, "Where precision sites stop being independent after training", caption,
                         ["Q6"])
