"""The problems that hone and its peers solve alike: model shapes, parameters, data, and the file hone reads."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

NORM_EPS = 1e-5
ROPE_BASE = 10000.0
LEARNING_RATE = 1e-3
BETAS = (0.9, 0.95)
ADAM_EPS = 1e-8
WEIGHT_DECAY = 0.1


@dataclass(frozen=True)
class Block:
    """One array of the flat parameter vector; matrices are (out, in)."""

    name: str
    shape: tuple[int, ...]
    role: str  # embedding, norm, matrix, bias, head

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def decayed(self) -> bool:
        return self.role not in ("norm", "bias")


@dataclass(frozen=True)
class TransformerShape:
    layers: int
    width: int
    heads: int
    mlp_width: int
    vocabulary: int = 256
    positions: int = 128
    kind: str = "transformer"

    def blocks(self) -> list[Block]:
        """In the order of hone's flat vector (sim/model/transformer/options.cpp)."""
        d, f = self.width, self.mlp_width
        found = [Block("tok_emb", (self.vocabulary, d), "embedding")]
        for layer in range(self.layers):
            parts = [("attn_norm", (d,), "norm")]
            parts += [(name, (d, d), "matrix") for name in ("wq", "wk", "wv", "wo")]
            parts += [("mlp_norm", (d,), "norm"), ("w_gate", (f, d), "matrix"), ("w_up", (f, d), "matrix")]
            parts += [("w_down", (d, f), "matrix")]
            found += [Block(f"layer{layer}_{name}", shape, role) for name, shape, role in parts]
        return found + [Block("final_norm", (d,), "norm"), Block("head", (self.vocabulary, d), "head")]

    def header(self) -> dict:
        names = ("kind", "layers", "width", "heads", "mlp_width", "vocabulary", "positions")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class MlpShape:
    """tanh between the layers, softmax cross-entropy at the end."""

    widths: tuple[int, ...]
    kind: str = "mlp"

    def blocks(self) -> list[Block]:
        found = []
        for layer, (inputs, outputs) in enumerate(zip(self.widths, self.widths[1:])):
            found += [Block(f"w{layer}", (outputs, inputs), "matrix"), Block(f"b{layer}", (outputs,), "bias")]
        return found

    def header(self) -> dict:
        return {"kind": self.kind, "widths": list(self.widths)}


@dataclass
class Problem:
    """A model at one point, a batch, and one direction for products; all numbers float64."""

    shape: TransformerShape | MlpShape
    theta: np.ndarray
    direction: np.ndarray
    inputs: np.ndarray  # token ids (B, T) or vectors (B, I)
    targets: np.ndarray  # token ids (B, T) or classes (B)
    chunk_rows: int = 256  # hone's own tuning
    blocks: list[Block] = field(init=False)

    def __post_init__(self):
        self.blocks = self.shape.blocks()

    @property
    def in_layers(self) -> list[bool]:
        """Of each block: whether it is a matrix of a layer."""
        return [block.role == "matrix" for block in self.blocks]

    @property
    def rows(self) -> int:
        """Loss terms: tokens or examples."""
        return self.targets.size

    def split(self, flat: np.ndarray) -> list[np.ndarray]:
        """The flat vector as one array per block."""
        ends = np.cumsum([b.size for b in self.blocks])
        return [part.reshape(b.shape) for part, b in zip(np.split(flat, ends[:-1]), self.blocks)]


def swiglu_width(width: int) -> int:
    """8·width/3, rounded up to a multiple of 32."""
    return -(-8 * width // (3 * 32)) * 32


def initial_parameters(blocks: list[Block], seed: int) -> np.ndarray:
    """Matrices N(0, 1/fan_in), norms near 1, biases small; nothing at a special value."""
    random = np.random.default_rng(seed)
    parts = []
    for block in blocks:
        values = random.standard_normal(block.size)
        if block.role == "norm":
            values = 1 + 0.1 * values
        else:
            values *= 0.1 if block.role == "bias" else block.shape[-1] ** -0.5
        parts.append(values)
    return np.concatenate(parts)


def token_windows(text: bytes, sequences: int, positions: int, vocabulary: int) -> np.ndarray:
    """(B, T+1) bytes of the text, evenly spread windows; ids above the vocabulary wrap around."""
    length = positions + 1
    if len(text) < length + sequences:
        raise SystemExit(f"the text has {len(text)} bytes; {length + sequences} are needed (choose another --text)")
    starts = np.linspace(0, len(text) - length, sequences).astype(int)
    codes = np.frombuffer(text, np.uint8)
    return np.stack([codes[s : s + length] for s in starts]).astype(np.int64) % vocabulary


def text_problem(shape: TransformerShape, text: bytes, sequences: int, seed: int = 1) -> Problem:
    windows = token_windows(text, sequences, shape.positions, shape.vocabulary)
    theta = initial_parameters(shape.blocks(), seed)
    direction = np.random.default_rng(seed + 1000).standard_normal(theta.size)
    return Problem(shape, theta, direction, windows[:, :-1], windows[:, 1:])


def vector_problem(shape: MlpShape, examples: int, seed: int = 1) -> Problem:
    """Normal inputs, classes by a random linear map."""
    random = np.random.default_rng(seed + 2000)
    inputs = random.standard_normal((examples, shape.widths[0]))
    targets = np.argmax(inputs @ random.standard_normal((shape.widths[0], shape.widths[-1])), axis=1)
    theta = initial_parameters(shape.blocks(), seed)
    return Problem(shape, theta, random.standard_normal(theta.size), inputs, targets, chunk_rows=128)


def write_problem(problem: Problem, file: Path) -> None:
    """The form that problem.hpp describes."""
    header = {
        "model": problem.shape.header(),
        "examples": len(problem.inputs),
        "chunk_rows": problem.chunk_rows,
    }
    with open(file, "wb") as out:
        out.write(json.dumps(header).encode() + b"\n")
        out.write(problem.theta.astype("<f8").tobytes() + problem.direction.astype("<f8").tobytes())
        if problem.shape.kind == "transformer":
            windows = np.concatenate([problem.inputs, problem.targets[:, -1:]], axis=1)
            out.write(windows.astype("<u2").tobytes())
        else:
            out.write(problem.inputs.astype("<f8").tobytes() + problem.targets.astype("<i4").tobytes())


VOCABULARY = 50304  # of Pythia

ROWS = {
    "d32": TransformerShape(2, 32, 2, swiglu_width(32)),
    "d64": TransformerShape(2, 64, 4, swiglu_width(64)),
    "d128": TransformerShape(4, 128, 4, swiglu_width(128)),
    "d256": TransformerShape(6, 256, 8, swiglu_width(256)),
    "mlp": MlpShape((64, 128, 128, 10)),
    # The sizes of Pythia-14m and Pythia-70m in the style of the other rows, on fewer tokens and measures.
    "p14m": TransformerShape(6, 128, 4, swiglu_width(128), VOCABULARY),
    "p70m": TransformerShape(6, 512, 8, swiglu_width(512), VOCABULARY),
}
SEQUENCES = {"p14m": 8, "p70m": 8}
MEASURES_OF = {"p14m": ("gradient_f32", "hvp_f32", "blocks_f32"), "p70m": ("gradient_f32", "blocks_f32")}


def row_problem(name: str, text: bytes, sequences: int | None = None) -> Problem:
    shape = ROWS[name]
    if shape.kind == "mlp":
        return vector_problem(shape, examples=256)
    return text_problem(shape, text, sequences or SEQUENCES.get(name, 32))
