"""The measures in PyTorch: eager with kept graphs, torch.func, torch.compile; and the two operator libraries on it."""

import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from problems import ADAM_EPS, BETAS, LEARNING_RATE, WEIGHT_DECAY, Problem
from torch_models import make_batch, make_model
from variants import Variant

DTYPES = {"f32": torch.float32, "f64": torch.float64}


def flat(parts) -> np.ndarray:
    return np.concatenate([part.detach().numpy().astype(np.float64).ravel() for part in parts])


def split(problem: Problem, vector: np.ndarray, dtype: torch.dtype) -> list[torch.Tensor]:
    return [torch.tensor(part, dtype=dtype) for part in problem.split(vector)]


def make_optimizer(problem: Problem, model: nn.Module) -> torch.optim.Optimizer:
    named = dict(model.named_parameters())
    groups = [
        {"params": [named[b.name] for b in problem.blocks if b.decayed], "weight_decay": WEIGHT_DECAY},
        {"params": [named[b.name] for b in problem.blocks if not b.decayed], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=BETAS, eps=ADAM_EPS, fused=True)


def training_step(problem: Problem, dtype: torch.dtype, style: str, compiled: bool):
    """A closure over a fresh model that makes one update and returns the loss before it."""
    model = make_model(problem, dtype, style)
    optimizer = make_optimizer(problem, model)
    x, y = make_batch(problem, dtype)
    forward = torch.compile(model) if compiled else model

    def step() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def training(problem: Problem, scalar: str, name: str, style: str = "plain", compiled: bool = False) -> Variant:
    step = training_step(problem, DTYPES[scalar], style, compiled)

    def losses(updates: int) -> list[float]:
        fresh = training_step(problem, DTYPES[scalar], style, compiled)
        return [float(fresh()) for _ in range(updates + 1)]

    return Variant("torch", name, step, losses=losses)


def gradient(problem: Problem, scalar: str, name: str, style: str = "plain", compiled: bool = False) -> Variant:
    model = make_model(problem, DTYPES[scalar], style)
    parameters = list(model.parameters())
    x, y = make_batch(problem, DTYPES[scalar])
    forward = torch.compile(model) if compiled else model

    def call():
        return torch.autograd.grad(functional.cross_entropy(forward(x), y), parameters)

    return Variant("torch", name, call, lambda: flat(call()))


def functional_loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor):
    def loss(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional.cross_entropy(torch.func.functional_call(model, parameters, (x,)), y)

    return loss


def named_parts(problem: Problem, model: nn.Module, vector: np.ndarray, dtype: torch.dtype):
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    return parameters, dict(zip(parameters, split(problem, vector, dtype)))


def func_gradient(problem: Problem, scalar: str) -> Variant:
    model = make_model(problem, DTYPES[scalar])
    parameters, _ = named_parts(problem, model, problem.direction, DTYPES[scalar])
    grad = torch.func.grad(functional_loss(model, *make_batch(problem, DTYPES[scalar])))
    return Variant("torch", "func grad", lambda: grad(parameters), lambda: flat(grad(parameters).values()))


def kept_graph_hessian(problem: Problem, scalar: str) -> Variant:
    """Double backward through one gradient graph that is built once."""
    model = make_model(problem, DTYPES[scalar])
    parameters = list(model.parameters())
    x, y = make_batch(problem, DTYPES[scalar])
    grads = torch.autograd.grad(functional.cross_entropy(model(x), y), parameters, create_graph=True)
    v = split(problem, problem.direction, DTYPES[scalar])

    def call():
        return torch.autograd.grad(grads, parameters, v, retain_graph=True)

    return Variant("torch", "double backward, graph kept", call, lambda: flat(call()))


def kept_graph_blocks(problem: Problem, scalar: str) -> Variant:
    """The same over the matrices of the layers alone; the rest is held fixed."""
    model = make_model(problem, DTYPES[scalar])
    named = [(p, moves) for p, moves in zip(model.parameters(), problem.in_layers)]
    for parameter, moves in named:
        parameter.requires_grad_(moves)
    moving = [parameter for parameter, moves in named if moves]
    x, y = make_batch(problem, DTYPES[scalar])
    grads = torch.autograd.grad(functional.cross_entropy(model(x), y), moving, create_graph=True)
    v = [part for part, moves in zip(split(problem, problem.direction, DTYPES[scalar]), problem.in_layers) if moves]

    def call():
        return torch.autograd.grad(grads, moving, v, retain_graph=True)

    def whole() -> np.ndarray:
        found = iter(call())
        return flat(next(found) if moves else torch.zeros_like(parameter) for parameter, moves in named)

    return Variant("torch", "double backward, graph kept", call, whole)


def func_hessian(problem: Problem, scalar: str, compiled: bool = False) -> Variant:
    """Forward over reverse, from the start at each call."""
    model = make_model(problem, DTYPES[scalar])
    parameters, v = named_parts(problem, model, problem.direction, DTYPES[scalar])
    grad = torch.func.grad(functional_loss(model, *make_batch(problem, DTYPES[scalar])))

    def product(p, t):
        return torch.func.jvp(grad, (p,), (t,))[1]

    if compiled:
        product = torch.compile(product)

    @torch.no_grad()
    def call():
        return product(parameters, v)

    name = "compiled jvp of grad" if compiled else "func jvp of grad"
    return Variant("torch", name, call, lambda: flat(call().values()))


def loss_hessian_product(logits: torch.Tensor, tangent: torch.Tensor) -> torch.Tensor:
    """Closed form for the mean softmax cross-entropy."""
    p = torch.softmax(logits, dim=-1)
    return p * (tangent - (p * tangent).sum(-1, keepdim=True)) / len(logits)


def kept_graph_ggn(problem: Problem, scalar: str) -> Variant:
    """J v by differentiating u'J with respect to u, then J'(H J v); both graphs are built once."""
    model = make_model(problem, DTYPES[scalar])
    parameters = list(model.parameters())
    logits = model(make_batch(problem, DTYPES[scalar])[0])
    u = torch.zeros_like(logits, requires_grad=True)
    pulled = torch.autograd.grad(logits, parameters, u, create_graph=True)
    v = split(problem, problem.direction, DTYPES[scalar])
    fixed = logits.detach()

    def call():
        (tangent,) = torch.autograd.grad(pulled, u, v, retain_graph=True)
        return torch.autograd.grad(logits, parameters, loss_hessian_product(fixed, tangent), retain_graph=True)

    return Variant("torch", "double vjp, graphs kept", call, lambda: flat(call()))


def func_ggn(problem: Problem, scalar: str, compiled: bool = False) -> Variant:
    model = make_model(problem, DTYPES[scalar])
    x, _ = make_batch(problem, DTYPES[scalar])
    parameters, v = named_parts(problem, model, problem.direction, DTYPES[scalar])

    def outputs(p):
        return torch.func.functional_call(model, p, (x,))

    def product(p, t):
        logits, tangent = torch.func.jvp(outputs, (p,), (t,))
        _, pull = torch.func.vjp(outputs, p)
        return pull(loss_hessian_product(logits, tangent))[0]

    if compiled:
        product = torch.compile(product)

    @torch.no_grad()
    def call():
        return product(parameters, v)

    return Variant("torch", "compiled jvp, vjp" if compiled else "func jvp, vjp", call, lambda: flat(call().values()))


def curvlinops_product(problem: Problem, scalar: str, kind: str) -> Variant:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import curvlinops

    operator_type = {"hvp": curvlinops.HessianLinearOperator, "ggn": curvlinops.GGNLinearOperator}[kind]
    model = make_model(problem, DTYPES[scalar], "composed")
    operator = operator_type(
        model, nn.CrossEntropyLoss(), list(model.parameters()), [make_batch(problem, DTYPES[scalar])],
        check_deterministic=False,
    )
    v = split(problem, problem.direction, DTYPES[scalar])
    return Variant("curvlinops", operator_type.__name__, lambda: operator @ v, lambda: flat(operator @ v))


def torch_variants(problem: Problem, measure: str, compiled: bool, thorough: bool) -> list:
    """Functions that make the variants of a measure, so that only one set of graphs need live at a time; without
    `thorough`, only those that win on smaller models."""
    kind, scalar = measure.split("_")
    is_text = problem.shape.kind == "transformer"
    if kind in ("train", "gradient"):
        make = {"train": training, "gradient": gradient}[kind]
        found = [lambda: make(problem, scalar, "eager")]
        if is_text:
            found.append(lambda: make(problem, scalar, "eager, fused attention and norm", style="fused"))
        if kind == "gradient" and thorough:
            found.append(lambda: func_gradient(problem, scalar))
        if compiled:
            found.append(lambda: make(problem, scalar, "compiled", style="fused", compiled=True))
        return found
    if kind == "blocks":
        return [lambda: kept_graph_blocks(problem, scalar)]
    kept, func = {"hvp": (kept_graph_hessian, func_hessian), "ggn": (kept_graph_ggn, func_ggn)}[kind]
    found = [lambda: kept(problem, scalar)]
    if thorough:
        found += [lambda: func(problem, scalar), lambda: curvlinops_product(problem, scalar, kind)]
    if compiled:
        found.append(lambda: func(problem, scalar, compiled=True))
    return found
