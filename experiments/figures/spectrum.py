"""Figure: the Hessian's spectral density along training, for the largest transformer."""

import numpy as np

import style
from records import Absent

WIDTH_IN_ASINH = 0.15  # of the Gaussian that stands for each quadrature node
CHECKPOINTS_DRAWN = 4
DEPTH = 1e-8  # a panel shows densities down to this share of its peak


def candidates(run):
    """Indices of the trunk checkpoints with a measured density, in the order of tokens."""
    points = run.groups["checkpoints"]
    node, weight = run.array("curvature", "slq_node"), run.array("curvature", "slq_weight")
    return sorted((i for i in range(points["lengths"]["checkpoint"])
                   if points["variant"][i] == "trunk" and node[i].size
                   and np.isfinite(node[i]).all() and np.isfinite(weight[i]).all()),
                  key=lambda i: points["tokens"][i])


def chosen_run(study):
    """The largest transformer with a density, the first id among equals, and its checkpoints."""
    runs = [(r, candidates(r)) for r in study.drawn_runs("curvature")]
    runs = [(r, found) for r, found in runs if found]
    if not runs:
        raise Absent("no transformer trunk has a spectral density (slq_node, slq_weight)")
    return min(runs, key=lambda pair: (-pair[0].size, str(pair[0].manifest["run_id"])))


def smoothed(node, weight, scale, u):
    """One density per probe over u = asinh(lambda / scale): a Gaussian for each node."""
    places = np.arcsinh(node / scale)
    kernel = np.exp(-0.5 * ((u[:, None, None] - places) / WIDTH_IN_ASINH) ** 2)
    return (kernel * weight).sum(axis=2).T / (WIDTH_IN_ASINH * np.sqrt(2 * np.pi))


def with_atoms(run, i):
    """Nodes and masses of checkpoint i, the certified eigenvalues among them with mass 1/n."""
    node, weight = run.array("curvature", "slq_node")[i], run.array("curvature", "slq_weight")[i]
    count = run.array("curvature", "atoms")[i]
    if not count > 0:
        return node, weight
    atoms = np.concatenate([run.array("curvature", "lambda")[i],
                            run.array("curvature", "lambda_smallest")[i]])
    atoms = np.repeat(atoms[np.isfinite(atoms)][None], len(node), 0)
    mass = np.full(atoms.shape, 1 / run.array("curvature", "dimension")[i])
    return np.concatenate([node, atoms], 1), np.concatenate([weight, mass], 1)


def decade_ticks(ax, scale, low, high):
    """Ticks at 0 and at powers of ten of lambda on the asinh axis."""
    reach = max(abs(np.sinh(low)), abs(np.sinh(high)))
    powers = [10.0 ** k for k in range(0, int(np.ceil(np.log10(reach))) + 1)]
    values = [-p for p in reversed(powers)] + [0.0] + powers
    kept = [v for v in values if low <= np.arcsinh(v) <= high]
    exponents = {v: int(round(np.log10(abs(v) * scale))) if v else None for v in kept}
    ax.set_xticks([np.arcsinh(v) for v in kept],
                  ["0" if v == 0 else f"${'-' if v < 0 else ''}10^{{{exponents[v]}}}$"
                   for v in kept])


def draw_density(ax, u, probes, tops, scale, text, colour):
    density = probes.mean(axis=0)
    ax.fill_between(u, np.maximum(density, 1e-300), 1e-300, color=colour, alpha=0.2, lw=0)
    if len(probes) > 1:  # two standard errors over probes
        bar = 2 * probes.std(axis=0, ddof=1) / np.sqrt(len(probes))
        ax.fill_between(u, np.maximum(density + bar, 1e-300), np.maximum(density - bar, 1e-300),
                        color=colour, alpha=0.35, lw=0)
    ax.plot(u, np.maximum(density, 1e-300), color=colour, lw=1.2)
    tops = tops[np.isfinite(tops)]
    ax.plot(np.arcsinh(tops / scale), np.full(len(tops), 0.06), "|", color=style.INK, ms=7,
            mew=0.9, transform=ax.get_xaxis_transform())
    ax.annotate(text, (0.99, 0.93), xycoords="axes fraction", ha="right", va="top", fontsize=8)
    ax.set_yscale("log")


def spectrum_figure(study):
    run, found = chosen_run(study)
    picks = [found[i] for i in
             np.unique(np.linspace(0, len(found) - 1, CHECKPOINTS_DRAWN).round().astype(int))]
    points = run.groups["checkpoints"]
    masses = {i: with_atoms(run, i) for i in picks}
    node = run.array("curvature", "slq_node")
    tops = run.array("curvature", "lambda")
    largest = max(np.abs(masses[i][0]).max() for i in picks)
    scale = 10.0 ** (np.floor(np.log10(largest)) - 3) if largest > 0 else 1.0
    ends = np.arcsinh([min(masses[i][0].min() for i in picks) / scale, largest / scale])
    u = np.linspace(ends[0] - 0.6, ends[1] + 0.6, 900)
    figure, axes = style.plt.subplots(len(picks), 1, sharex=True, sharey=True, squeeze=False,
                                      figsize=(style.WIDTH, 0.7 + 1.25 * len(picks)))
    peak = 0.0
    for ax, i, shade in zip(axes.flat, picks, np.linspace(0.75, 0.1, len(picks))):
        probes = smoothed(*masses[i], scale, u)
        peak = max(peak, probes.mean(axis=0).max())
        text = (f"{style.count_text(points['tokens'][i])} tokens, D/N = "
                f"{points['tokens'][i] / run.size:.3g}")
        draw_density(ax, u, probes, tops[i], scale, text, style.plt.cm.viridis(shade))
    axes[-1, 0].set_ylim(peak * DEPTH, peak * 3)
    axes[-1, 0].set_xlim(u[0], u[-1])
    decade_ticks(axes[-1, 0], scale, u[0], u[-1])
    axes[-1, 0].set_xlabel("eigenvalue λ (nats / parameter unit²)")
    figure.supylabel("share of eigenvalues per unit of asinh(λ/λ₀)", fontsize=9)
    caption = (
        f"Spectral density of the Hessian on the quantizable block of run "
        f"{run.manifest['run_id']} ({style.count_text(run.size)} parameters, 1 run) at "
        f"{len(picks)} trunk checkpoints, by stochastic Lanczos quadrature with {node.shape[1]} "
        f"probe{'s' * (node.shape[1] != 1)} of {node.shape[2]} nodes. Each node is drawn as a "
        f"Gaussian of standard deviation {WIDTH_IN_ASINH:g} in asinh(λ/λ₀), λ₀ = {scale:g}; the "
        "width is chosen for display, the darker band is two standard errors over probes, and the "
        "eigenvalues computed one by one stand in with mass 1/n each. The eigenvalue axis is linear within ±λ₀ and logarithmic "
        f"beyond; the density axis is logarithmic and ends at {DEPTH:g} of the highest peak. Ticks "
        "at the foot: the largest eigenvalues, computed one by one.")
    return style.Drawing(figure, "Spectral density along training", caption, ["Q2"])
