"""hone against PyTorch, JAX and the curvature tools: same parameters, same data, one run, checked to agree.

  ./experiments/peers/run                          all rows, about ten minutes
  ./experiments/peers/run --rows d32 d64 --rounds 5
"""

import argparse
import gc
import hashlib
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

from hone_process import HoneProcess
from problems import MEASURES_OF, ROWS, Problem, row_problem
from rounds import agrees, calls_for, mean_seconds, ratios, relative_difference, spread, take_turns
from tables import render
from variants import MEASURES, Variant

TOLERANCE = {"f32": 1e-4, "f64": 1e-9}
STEPS_COMPARED = 3
SPECTRUM_ROWS = ("d32", "d64")
SPECTRUM_SEQUENCES = 8
LARGE_MODEL = 1_000_000  # parameters from which the slower variants and the float64 checks but one are left out


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


class Agreement:
    """Relative differences from hone, each with its tolerance; the run fails at the end when one is exceeded."""

    def __init__(self):
        self.checks: list[dict] = []

    def add(self, row: str, what: str, who: str, difference: float, tolerance: float) -> None:
        fine = agrees(difference, tolerance)
        self.checks.append({"row": row, "what": what, "who": who, "difference": difference,
                            "tolerance": tolerance, "agrees": fine})
        if not fine:
            say(f"DISAGREES: {row} {what} {who}: {difference:.2e}, allowed {tolerance:.0e}")

    @property
    def failures(self) -> list[dict]:
        return [check for check in self.checks if not check["agrees"]]


def make_variants(problem: Problem, measure: str, options) -> list[Variant]:
    from jax_peer import jax_variants
    from torch_peer import torch_variants

    thorough = problem.theta.size < LARGE_MODEL
    compiled = options.compile == "all" and thorough or options.compile != "none" and measure.startswith("train")
    makers = torch_variants(problem, measure, compiled, thorough) + jax_variants(problem, measure, thorough)
    found = []
    for make in makers:
        try:
            variant = make()
            variant.call()  # traces, compiles, allocates
            found.append(variant)
        except Exception as error:  # a peer that cannot do a measure is reported, not hidden
            say(f"  a variant of {measure} failed: {type(error).__name__}: {str(error).splitlines()[0][:150]}")
    return found


def check_variant(agreement: Agreement, row: str, measure: str, variant: Variant, reference) -> None:
    own = variant.losses(STEPS_COMPARED) if variant.losses else variant.vector()
    what = f"{measure}, {STEPS_COMPARED} updates" if variant.losses else measure
    agreement.add(row, what, variant.label, relative_difference(own, reference), TOLERANCE[measure[-3:]])


def best_of_each_library(screen: dict[str, float], variants: list[Variant]) -> list[Variant]:
    """The quickest variant per library, without libraries more than eight times slower than the best one."""
    chosen: dict[str, Variant] = {}
    for variant in sorted(variants, key=lambda v: screen[v.label]):
        chosen.setdefault(variant.library, variant)
    fastest = min(screen.values())
    return [v for v in chosen.values() if screen[v.label] <= 8 * fastest]


def screened_seconds(variant: Variant) -> float:
    """Best of three calls, or the first one when it is slow."""
    first = mean_seconds(variant.call, 1)
    return first if first > 1 else min(first, *(mean_seconds(variant.call, 1) for _ in range(2)))


def hone_timer(hone: HoneProcess, measure: str):
    hone.seconds(measure, 1)
    calls = calls_for(min(hone.seconds(measure, 1) for _ in range(2)))
    return lambda: hone.seconds(measure, calls)


def time_measure(row: str, problem: Problem, hone: HoneProcess, measure: str, agreement: Agreement, options) -> dict:
    scalar = measure[-3:]
    reference = hone.losses(scalar, STEPS_COMPARED) if measure.startswith("train") else hone.vector(measure)
    variants = make_variants(problem, measure, options)
    screen = {}
    for variant in variants:
        check_variant(agreement, row, measure, variant, reference)
        screen[variant.label] = screened_seconds(variant)
    timers = {"hone": hone_timer(hone, measure)}
    for variant in best_of_each_library(screen, variants):
        calls = calls_for(screen[variant.label])
        timers[variant.label] = lambda v=variant, n=calls: mean_seconds(v.call, n)
    samples = take_turns(timers, options.rounds, options.budget)
    del variants, timers
    gc.collect()
    compared = ratios(samples, "hone")
    best = min(compared, key=lambda name: compared[name].median)
    say(f"  {row} {measure}: hone {np.median(samples['hone']) * 1e3:.3g} ms, {best} {compared[best].median:.2f}x")
    return {
        "row": row,
        "measure": measure,
        "rows_per_call": problem.rows,
        "rounds": len(samples["hone"]),
        "seconds": {name: spread(times).as_dict() for name, times in samples.items()},
        "ratios": {name: value.as_dict() for name, value in compared.items()},
        "screened_seconds": screen,
        "best_peer": best,
    }


def check_float64(row: str, problem: Problem, hone: HoneProcess, agreement: Agreement) -> None:
    """What is timed in float32 must also agree in float64, where nothing hides in rounding."""
    import jax_peer
    import torch_peer

    for library in (torch_peer, jax_peer):
        eager = ("eager",) if library is torch_peer else ()
        training = library.training(problem, "f64", *eager)
        check_variant(agreement, row, "train_f64", training, hone.losses("f64", STEPS_COMPARED))
        gradient = library.gradient(problem, "f64", *eager)
        check_variant(agreement, row, "gradient_f64", gradient, hone.vector("gradient_f64"))
    for variant in (torch_peer.kept_graph_ggn(problem, "f64"), jax_peer.ggn(problem, "f64")):
        check_variant(agreement, row, "ggn_f64", variant, hone.vector("ggn_f64"))
    gc.collect()


def compare_row(row: str, text: bytes, agreement: Agreement, options) -> list[dict]:
    problem = row_problem(row, text)
    say(f"{row}: {problem.theta.size} parameters, {problem.rows} loss terms")
    with HoneProcess(options.program, problem, options.threads) as hone:
        if problem.theta.size < LARGE_MODEL:
            check_float64(row, problem, hone, agreement)
        measures = [measure for measure in options.measures if measure in MEASURES_OF.get(row, MEASURES)]
        return [time_measure(row, problem, hone, measure, agreement, options) for measure in measures]


def compare_spectrum(row: str, text: bytes, agreement: Agreement, options) -> dict:
    """Each competitor does the whole job; hone before and after each of them."""
    from spectrum_peers import DENSITY_STEPS, PAIRS, PROBES, eigenthings_job, pyhessian_job
    from spectrum_peers import reference_values, worst_error

    problem = row_problem(row, text, SPECTRUM_SEQUENCES)
    say(f"{row}: spectra of {problem.theta.size} parameters on {problem.rows} tokens")
    reference = reference_values(problem)
    with HoneProcess(options.program, problem, options.threads) as hone:

        def hone_job(seed: int) -> dict:
            reply = hone.ask(do="spectrum", scalar="f32", pairs=PAIRS, probes=PROBES, density_steps=DENSITY_STEPS,
                             tolerance=1e-4, seed=seed)
            return {**reply, "by": "algebraic"}

        jobs = {"hone": hone_job, "pyhessian": lambda s: pyhessian_job(problem, s),
                "hessian-eigenthings": lambda s: eigenthings_job(problem, s)}
        hone_job(0)
        results = {name: [] for name in jobs}
        for seed in range(1, 1 + options.spectrum_rounds):
            for name, job in jobs.items():
                results[name].append(job(seed))
    samples = {name: [r["seconds"] for r in found] for name, found in results.items()}
    errors = {name: max(worst_error(r, reference) for r in found) for name, found in results.items()}
    agreement.add(row, "top eigenvalues against ARPACK in float64", "hone", errors["hone"], 1e-4)
    for name in ("pyhessian", "hessian-eigenthings"):
        deviations = [abs(a["trace"] - b["trace"]) / np.hypot(a["trace_error"], b["trace_error"])
                      for a, b in zip(results[name], results["hone"])]
        agreement.add(row, "trace, in standard errors", name, float(np.median(deviations)), 5)
    compared = ratios(samples, "hone")
    say("  " + ", ".join(f"{name} {np.median(times):.2f} s" for name, times in samples.items()))
    return {"row": row, "tokens": problem.rows, "parameters": int(problem.theta.size), "eigenvalue_error": errors,
            "seconds": {n: spread(t).as_dict() for n, t in samples.items()},
            "ratios": {n: v.as_dict() for n, v in compared.items()},
            "reference_values": reference, "values": {n: [r["values"] for r in f] for n, f in results.items()},
            "traces": {n: [[r["trace"], r["trace_error"]] for r in found] for n, found in results.items()}}


def machine(options) -> dict:
    import jax
    import torch

    facts = {line.split(":")[0].strip(): line.split(":")[1].strip()
             for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line}
    return {"cpu": facts.get("model name", platform.processor()), "threads": options.threads,
            "cpus_allowed": sorted(os.sched_getaffinity(0)), "torch": torch.__version__, "jax": jax.__version__,
            "torch_build": [line.strip(" -") for line in torch.__config__.show().splitlines()
                            if "Math Kernel" in line or "MKL-DNN" in line or "capability" in line],
            "time": time.strftime("%Y-%m-%d %H:%M")}


def read_text(file: Path | None, root: Path) -> bytes:
    """Real text: the given file, or the project's own pages."""
    if file:
        return file.read_bytes()
    return b"".join((root / name).read_bytes() for name in ("README.md", "CHANGELOG.md", "sim/record/SCHEMA.md"))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--rounds", type=int, default=9, help="turns per measure (at least 3)")
    parser.add_argument("--budget", type=float, default=8, help="seconds per measure after which turns end early")
    parser.add_argument("--spectrum-rounds", type=int, default=3, help="turns of the whole spectrum job; 0 = none")
    parser.add_argument("--threads", type=int, default=2, help="for every competitor")
    parser.add_argument("--compile", choices=("none", "train", "all"), default="all",
                        help="measures for which torch.compile competes (training alone for the largest model)")
    parser.add_argument("--text", type=Path, help="file whose bytes are the tokens")
    parser.add_argument("--out", type=Path, help="default outputs/peers")
    parser.add_argument("--program", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < options.threads:
        raise SystemExit(f"--threads {options.threads}, but this process may use {len(cpus)} CPUs; lower it")
    os.sched_setaffinity(0, cpus[: options.threads])
    import torch

    torch.set_num_threads(options.threads)
    root = Path(__file__).resolve().parents[2]
    out = options.out or root / "outputs" / "peers"
    out.mkdir(parents=True, exist_ok=True)
    text = read_text(options.text, root)
    agreement = Agreement()
    measured = [entry for row in options.rows for entry in compare_row(row, text, agreement, options)]
    spectra = [compare_spectrum(row, text, agreement, options)
               for row in SPECTRUM_ROWS if row in options.rows and options.spectrum_rounds]
    result = {"machine": machine(options), "text_sha256": hashlib.sha256(text).hexdigest(), "measures": measured,
              "spectra": spectra, "agreement": agreement.checks}
    (out / "peers.json").write_text(json.dumps(result, indent=1) + "\n")
    table = render(result)
    (out / "table.md").write_text(table)
    print(table)
    return 1 if agreement.failures else 0


if __name__ == "__main__":
    sys.exit(main())
