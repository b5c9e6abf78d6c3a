"""The result of a comparison as Markdown."""

import math


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}"


def ratio(value: dict) -> str:
    """Median with its quartiles."""
    return f"{value['median']:.2f} [{value['q1']:.2f}, {value['q3']:.2f}]"


def library_of(label: str) -> str:
    return label.split(":")[0]


def measure_lines(measures: list[dict]) -> list[str]:
    libraries = ["torch", "jax", "curvlinops"]
    lines = ["| row | measure | hone ms | per second | " + " | ".join(libraries) + " | quickest peer |",
             "|---|---|---|---|" + "---|" * (len(libraries) + 1)]
    for entry in measures:
        by_library = {library_of(label): value for label, value in entry["ratios"].items()}
        cells = [ratio(by_library[name]) if name in by_library else slow_or_absent(entry, name) for name in libraries]
        own = entry["seconds"]["hone"]["median"]
        rate = f"{entry['rows_per_call'] / own:.3g}"
        cells = [entry["row"], entry["measure"], milliseconds(own), rate, *cells, entry["best_peer"]]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def slow_or_absent(entry: dict, library: str) -> str:
    """A library that was too slow for the rounds has one screened time only."""
    times = [t for label, t in entry["screened_seconds"].items() if library_of(label) == library]
    return f"{min(times) / entry['seconds']['hone']['median']:.1f} (once)" if times else "-"


def spectrum_lines(spectra: list[dict]) -> list[str]:
    lines = ["| row | tokens | tool | seconds | ratio to hone | worst eigenvalue error |", "|---|---|---|---|---|---|"]
    for entry in spectra:
        for name, seconds in entry["seconds"].items():
            cell = ratio(entry["ratios"][name]) if name in entry["ratios"] else "1"
            lines.append(f"| {entry['row']} | {entry['tokens']} | {name} | {seconds['median']:.2f} | {cell} | "
                         f"{entry['eigenvalue_error'][name]:.1e} |")
    return lines


def agreement_lines(checks: list[dict]) -> list[str]:
    """The worst difference of every kind of check."""
    worst: dict[str, dict] = {}
    for check in sorted(checks, key=lambda c: c["difference"] if c["difference"] >= 0 else math.inf):  # NaN comes last
        worst[check["what"]] = check
    lines = ["| checked | checks | worst difference | allowed | by |", "|---|---|---|---|---|"]
    for what, check in worst.items():
        count = sum(c["what"] == what for c in checks)
        lines.append(f"| {what} | {count} | {check['difference']:.1e} | {check['tolerance']:.0e} | "
                     f"{check['row']}, {check['who']} |")
    return lines


def render(result: dict) -> str:
    machine = result["machine"]
    failures = [check for check in result["agreement"] if not check["agrees"]]
    lines = ["# hone and its peers", "",
             f"{machine['time']}, {machine['cpu']}, {machine['threads']} threads for each; torch {machine['torch']}, "
             f"jax {machine['jax']}.", *(f"- {line}" for line in machine["torch_build"]), "",
             "Ratios are a peer's time over hone's in the same round: median [quartiles]; above 1 hone is quicker.", ""]
    lines += measure_lines(result["measures"])
    if result["spectra"]:
        lines += ["", "Top 5 eigenpairs, trace by 16 probes, density by 100 Lanczos steps, float32:", ""]
        lines += spectrum_lines(result["spectra"])
    verdict = "all agree" if not failures else f"{len(failures)} DISAGREE"
    lines += ["", f"Agreement with hone: {len(result['agreement'])} checks, {verdict}.", ""]
    return "\n".join(lines + agreement_lines(result["agreement"])) + "\n"
