"""The whole analysis of a spectrum (top eigenpairs, trace, density) by PyHessian and by hessian-eigenthings."""

import math
import time

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn
from torch.nn import functional

from problems import Problem
from torch_models import make_batch, make_model
from torch_peer import flat, split

PAIRS, PROBES, DENSITY_STEPS = 5, 16, 100


def supply_torch_eig() -> None:
    """PyHessian 0.1 calls torch.eig, which PyTorch 2 no longer has; the matrix is symmetric and small."""

    def eig(matrix: torch.Tensor, eigenvectors: bool = False):
        values, vectors = torch.linalg.eigh(matrix)
        return torch.stack((values, torch.zeros_like(values)), dim=1), vectors

    torch.eig = eig


def pyhessian_job(problem: Problem, seed: int) -> dict:
    """Power iteration with deflation at the library's own tolerance and limit: the largest in absolute value."""
    from pyhessian import hessian

    supply_torch_eig()
    torch.manual_seed(seed)
    model = make_model(problem, torch.float32)
    batch = make_batch(problem, torch.float32)
    start = time.perf_counter()
    analysis = hessian(model, nn.CrossEntropyLoss(), data=batch, cuda=False)
    values, _ = analysis.eigenvalues(top_n=PAIRS)
    trace = analysis.trace(maxIter=PROBES, tol=-math.inf)
    analysis.density(iter=DENSITY_STEPS, n_v=1)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "values": sorted(values, reverse=True), "by": "magnitude",
            "trace": float(np.mean(trace)), "trace_error": float(np.std(trace, ddof=1) / math.sqrt(len(trace)))}


def eigenthings_job(problem: Problem, seed: int) -> dict:
    """Lanczos for as many steps as hone may take, with reorthogonalization."""
    import hessian_eigenthings as things

    model = make_model(problem, torch.float32)
    batch = make_batch(problem, torch.float32)
    start = time.perf_counter()
    operator = things.HessianOperator(model, [batch], lambda m, b: functional.cross_entropy(m(b[0]), b[1]))
    pairs = things.lanczos(operator, k=PAIRS, max_iter=50, which="LA", reorthogonalize=True, seed=seed)
    trace = things.trace(operator, num_matvecs=PROBES, method="hutchinson", seed=seed)
    things.spectral_density(operator, num_runs=1, lanczos_steps=DENSITY_STEPS, seed=seed)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "values": [float(v) for v in pairs.eigenvalues], "by": "algebraic",
            "trace": trace.estimate, "trace_error": trace.stderr}


def reference_values(problem: Problem) -> dict[str, list[float]]:
    """The wanted eigenvalues, descending, by ARPACK on PyTorch's float64 products: neither hone nor a competitor."""
    model = make_model(problem, torch.float64)
    parameters = list(model.parameters())
    x, y = make_batch(problem, torch.float64)
    grads = torch.autograd.grad(functional.cross_entropy(model(x), y), parameters, create_graph=True)

    def product(v: np.ndarray) -> np.ndarray:
        parts = split(problem, v.ravel(), torch.float64)
        return flat(torch.autograd.grad(grads, parameters, parts, retain_graph=True))

    size = problem.theta.size
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    start = np.random.default_rng(5).standard_normal(size)
    ends = eigsh(operator, k=2 * PAIRS, which="BE", tol=1e-10, v0=start, return_eigenvectors=False)
    ends = sorted((float(value) for value in ends), reverse=True)
    return {"algebraic": ends[:PAIRS], "magnitude": sorted(sorted(ends, key=abs)[-PAIRS:], reverse=True)}


def worst_error(job: dict, reference: dict[str, list[float]]) -> float:
    """Largest error of an eigenvalue, relative to the largest one. Power iteration is judged by magnitudes alone, so
    that two eigenvalues of opposite sign and like size may come in either order."""
    found, wanted = np.asarray(job["values"]), np.asarray(reference[job["by"]])
    if job["by"] == "magnitude":
        found, wanted = np.sort(np.abs(found)), np.sort(np.abs(wanted))
    return float(np.max(np.abs(found - wanted)) / np.max(np.abs(wanted)))
