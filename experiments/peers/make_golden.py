"""Writes tests/golden/spectra/*.json: float64 curvature of two tiny models by two libraries that know nothing of hone or
of each other, curvlinops and hessian-eigenthings; and tests/golden/preference.json: the loss of direct preference
optimization and its gradient by PyTorch. Run by hand:

  build/peers/venv/bin/python -B -W ignore experiments/peers/make_golden.py
"""

import json
from pathlib import Path

import curvlinops
import hessian_eigenthings as things
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from problems import MlpShape, Problem, TransformerShape, text_problem, vector_problem
from torch_models import make_batch, make_model

TEXT = b"The quantity of meaning compressed into small space by algebraic signs is another circumstance. " * 3


def rounded(problem: Problem) -> Problem:
    """Six decimals, so that the file is short and exact."""
    problem.theta, problem.direction = np.round(problem.theta, 6), np.round(problem.direction, 6)
    if problem.shape.kind == "mlp":
        problem.inputs = np.round(problem.inputs, 6)
    return problem


class Libraries:
    """The same matrices from both libraries, dense."""

    def __init__(self, problem: Problem):
        self.model = make_model(problem, torch.float64, "composed")
        self.batch = make_batch(problem, torch.float64)
        self.direction = torch.tensor(problem.direction)
        self.parameters = list(self.model.parameters())

    def curvlinops(self, kind) -> np.ndarray:
        operator = kind(self.model, nn.CrossEntropyLoss(), self.parameters, [self.batch], check_deterministic=False)
        size = len(self.direction)
        columns = [operator @ torch.eye(size, dtype=torch.float64)[:, i : i + 64] for i in range(0, size, 64)]
        return torch.cat(columns, dim=1).detach().numpy()

    def eigenthings(self, operator) -> np.ndarray:
        identity = torch.eye(len(self.direction), dtype=torch.float64)
        return np.stack([operator.matvec(v).detach().numpy() for v in identity], axis=1)

    def hessians(self) -> dict[str, np.ndarray]:
        loss = lambda model, batch: functional.cross_entropy(model(batch[0]), batch[1])  # noqa: E731
        return {"curvlinops": self.curvlinops(curvlinops.HessianLinearOperator),
                "hessian_eigenthings": self.eigenthings(things.HessianOperator(self.model, [self.batch], loss))}

    def gauss_newtons(self) -> dict[str, np.ndarray]:
        operator = things.GGNOperator(self.model, [self.batch], lambda model, batch: model(batch[0]),
                                      lambda output, batch: functional.cross_entropy(output, batch[1]))
        return {"curvlinops": self.curvlinops(curvlinops.GGNLinearOperator),
                "hessian_eigenthings": self.eigenthings(operator)}

    def fishers(self) -> dict[str, np.ndarray]:
        """Mean over loss terms of the gradient's outer product; only curvlinops has it for terms within an example."""
        return {"curvlinops": self.curvlinops(curvlinops.EFLinearOperator)}

    def loss(self) -> float:
        return float(functional.cross_entropy(self.model(self.batch[0]), self.batch[1]))


def summary(matrix: np.ndarray, direction: np.ndarray) -> dict:
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    return {"largest": values[::-1][:5].tolist(), "smallest": values[:3].tolist(), "trace": float(np.trace(matrix)),
            "frobenius": float(np.linalg.norm(matrix)), "product": (matrix @ direction).tolist()}


def golden(problem: Problem) -> dict:
    libraries = Libraries(problem)
    found = {"model": problem.shape.header(), "loss": libraries.loss(), "theta": problem.theta.tolist(),
             "direction": problem.direction.tolist(), "inputs": problem.inputs.tolist(),
             "targets": problem.targets.tolist()}
    matrices = {"hessian": libraries.hessians(), "ggn": libraries.gauss_newtons(), "fisher": libraries.fishers()}
    for name, by_library in matrices.items():
        found[name] = {library: summary(matrix, problem.direction) for library, matrix in by_library.items()}
        if len(by_library) == 2:
            a, b = by_library.values()
            print(f"  {name}: the libraries differ by {np.linalg.norm(a - b) / np.linalg.norm(b):.1e}")
    return found


def preference(problem: Problem, beta: float) -> dict:
    """Rafailov et al. 2023, Eq 7, over pairs of windows, the preferred one first; the reference is another point."""
    model, (inputs, targets) = make_model(problem, torch.float64), make_batch(problem, torch.float64)
    reference = np.round(problem.theta + 0.05 * problem.direction, 6)

    def log_probabilities(parameters: list[torch.Tensor]) -> torch.Tensor:
        logits = torch.func.functional_call(model, dict(zip((b.name for b in problem.blocks), parameters)), (inputs,))
        terms = functional.cross_entropy(logits, targets, reduction="none")
        return -terms.reshape(inputs.shape).sum(dim=1)

    before = log_probabilities([torch.tensor(part) for part in problem.split(reference)]).detach()
    now = log_probabilities(list(model.parameters()))
    margins = beta * ((now[0::2] - now[1::2]) - (before[0::2] - before[1::2]))
    loss = -functional.logsigmoid(margins).mean()
    gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])
    windows = np.concatenate([problem.inputs, problem.targets[:, -1:]], axis=1)
    return {"model": problem.shape.header(), "beta": beta, "windows": windows.tolist(), "theta": problem.theta.tolist(),
            "reference": reference.tolist(), "loss": loss.item(), "margins": margins.tolist(),
            "gradient": gradient.tolist()}


def main() -> None:
    torch.set_num_threads(1)  # the models are tiny
    folder = Path(__file__).resolve().parents[2] / "tests" / "golden" / "spectra"
    text_shape = TransformerShape(2, 8, 2, 16, vocabulary=16, positions=8)
    problems = {"transformer_2_8": text_problem(text_shape, TEXT, sequences=4),
                "mlp_8_12_12_4": vector_problem(MlpShape((8, 12, 12, 4)), examples=24)}
    for name, problem in problems.items():
        print(name)
        file = folder / f"{name}.json"
        file.write_text(json.dumps(golden(rounded(problem))) + "\n")
        print(f"  {file.name}: {file.stat().st_size} bytes, {problem.theta.size} parameters")
    pairs = rounded(text_problem(text_shape, TEXT, sequences=6, seed=2))
    (folder.parent / "preference.json").write_text(json.dumps(preference(pairs, beta=0.3)) + "\n")


if __name__ == "__main__":
    main()
