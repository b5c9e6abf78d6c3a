"""One way of computing one measure in one library."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MEASURES = ("train_f32", "gradient_f32", "hvp_f32", "hvp_f64", "ggn_f32", "blocks_f32")


@dataclass
class Variant:
    library: str
    name: str
    call: Callable[[], object]  # does it once and waits for the result
    vector: Callable[[], np.ndarray] | None = None  # the result of one call in hone's order; None for training
    losses: Callable[[int], list[float]] | None = None  # training only: before each of n updates and after the last

    @property
    def label(self) -> str:
        return f"{self.library}: {self.name}"
