"""Turns and statistics: competitors alternate within one run, and a ratio is taken within each round."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SAMPLE_SECONDS = 0.1  # a sample repeats a quick call until about this long
SETTLE_SECONDS = 0.25  # between turns: worker threads of the last one spin for up to 0.2 s before they sleep


@dataclass(frozen=True)
class Spread:
    median: float
    low: float  # first quartile
    high: float  # third quartile

    def as_dict(self) -> dict:
        return {"median": self.median, "q1": self.low, "q3": self.high}


def spread(values) -> Spread:
    low, median, high = np.quantile(np.asarray(values, float), [0.25, 0.5, 0.75])
    return Spread(float(median), float(low), float(high))


def calls_for(seconds: float, sample_seconds: float = SAMPLE_SECONDS) -> int:
    """Calls in a sample of about `sample_seconds`, given the time of one."""
    return int(min(2000, max(1, round(sample_seconds / max(seconds, 1e-9)))))


def mean_seconds(call: Callable[[], object], calls: int) -> float:
    """Seconds per call; a quick call is made once before, untimed, to wake the threads."""
    if calls > 1:
        call()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def take_turns(timers: dict[str, Callable[[], float]], rounds: int, budget_seconds: float) -> dict[str, list[float]]:
    """Each round asks every timer once; the first to start rotates. Stops early, never before three rounds, when the
    next round would pass the budget."""
    names = list(timers)
    samples: dict[str, list[float]] = {name: [] for name in names}
    start = time.perf_counter()
    for done in range(rounds):
        elapsed = time.perf_counter() - start
        if done >= 3 and elapsed * (done + 1) / done > budget_seconds:
            break
        turn = done % len(names)
        for name in names[turn:] + names[:turn]:
            time.sleep(SETTLE_SECONDS)
            samples[name].append(timers[name]())
    return samples


def ratios(samples: dict[str, list[float]], base: str) -> dict[str, Spread]:
    """Time of each competitor over the base's time in the same round."""
    own = np.asarray(samples[base])
    return {name: spread(np.asarray(times) / own) for name, times in samples.items() if name != base}


def relative_difference(a, b) -> float:
    """‖a-b‖/‖b‖, NaN when either holds one, infinite when shapes differ."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape:
        return float("inf")
    scale = np.linalg.norm(b)
    return float(np.linalg.norm(a - b) / scale) if scale > 0 else float(np.linalg.norm(a - b))


def agrees(difference: float, tolerance: float) -> bool:
    """False for NaN."""
    return difference <= tolerance
