"""The measures in JAX, jitted: products from the start at each call, and with everything at the point kept."""

import jax
import jax.numpy as jnp
import numpy as np

from problems import ADAM_EPS, BETAS, LEARNING_RATE, NORM_EPS, ROPE_BASE, WEIGHT_DECAY, Problem
from variants import Variant

jax.config.update("jax_enable_x64", True)
DTYPES = {"f32": jnp.float32, "f64": jnp.float64}


def rms_norm(x, weight):
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + NORM_EPS) * weight


def transformer_outputs(problem: Problem, dtype):
    """The function from (parameters, tokens) to logits (B·T, vocabulary)."""
    shape = problem.shape
    half = shape.width // shape.heads // 2
    angles = np.outer(np.arange(shape.positions), ROPE_BASE ** (-np.arange(half) / half))
    cosine, sine = jnp.asarray(np.cos(angles), dtype), jnp.asarray(np.sin(angles), dtype)
    mask = jnp.asarray(np.triu(np.full((shape.positions,) * 2, -np.inf), 1), dtype)

    def rotated(x):
        a, b = jnp.split(x, 2, axis=-1)
        return jnp.concatenate((a * cosine - b * sine, a * sine + b * cosine), axis=-1)

    def heads_of(y):
        return y.reshape(*y.shape[:2], shape.heads, -1).transpose(0, 2, 1, 3)

    def outputs(w, tokens):
        x = w["tok_emb"][tokens]
        for layer in range(shape.layers):
            at = lambda name: w[f"layer{layer}_{name}"]  # noqa: B023, E731
            y = rms_norm(x, at("attn_norm"))
            q, k, v = (heads_of(y @ at(name).T) for name in ("wq", "wk", "wv"))
            scale = (shape.width // shape.heads) ** -0.5
            attention = jax.nn.softmax((rotated(q) * scale) @ rotated(k).swapaxes(-1, -2) + mask, axis=-1)
            x = x + (attention @ v).transpose(0, 2, 1, 3).reshape(x.shape) @ at("wo").T
            y = rms_norm(x, at("mlp_norm"))
            x = x + (jax.nn.silu(y @ at("w_gate").T) * (y @ at("w_up").T)) @ at("w_down").T
        return (rms_norm(x, w["final_norm"]) @ w["head"].T).reshape(-1, shape.vocabulary)

    return outputs


def mlp_outputs(problem: Problem):
    last = len(problem.shape.widths) - 2

    def outputs(w, x):
        for layer in range(last + 1):
            x = x @ w[f"w{layer}"].T + w[f"b{layer}"]
            x = jnp.tanh(x) if layer < last else x
        return x

    return outputs


class Setting:
    """Model, point and batch in one scalar."""

    def __init__(self, problem: Problem, scalar: str):
        dtype = DTYPES[scalar]
        is_text = problem.shape.kind == "transformer"
        self.names = [block.name for block in problem.blocks]
        self.decay = {b.name: WEIGHT_DECAY * b.decayed for b in problem.blocks}
        outputs = transformer_outputs(problem, dtype) if is_text else mlp_outputs(problem)
        inputs = jnp.asarray(problem.inputs, jnp.int32 if is_text else dtype)
        targets = jnp.asarray(problem.targets.ravel(), jnp.int32)
        self.point = self.tree(problem, problem.theta, dtype)
        self.direction = self.tree(problem, problem.direction, dtype)
        self.outputs = lambda w: outputs(w, inputs)

        def loss(w):
            z = outputs(w, inputs)
            picked = jnp.take_along_axis(z, targets[:, None], axis=-1)[:, 0]
            return jnp.mean(jax.nn.logsumexp(z, axis=-1) - picked)

        self.loss = loss

    def tree(self, problem: Problem, vector: np.ndarray, dtype) -> dict:
        return {name: jnp.asarray(part, dtype) for name, part in zip(self.names, problem.split(vector))}

    def flat(self, tree: dict) -> np.ndarray:
        return np.concatenate([np.asarray(tree[name], np.float64).ravel() for name in self.names])

    def variant(self, name: str, function, *arguments) -> Variant:
        def call():
            return jax.block_until_ready(function(*arguments))

        return Variant("jax", name, call, lambda: self.flat(call()))


def adamw_step(setting: Setting):
    """(parameters, m, v, step) -> the same after one update, and the loss before it."""

    def step(w, m, v, count):
        loss, g = jax.value_and_grad(setting.loss)(w)
        count = count + 1
        m = jax.tree.map(lambda a, b: BETAS[0] * a + (1 - BETAS[0]) * b, m, g)
        v = jax.tree.map(lambda a, b: BETAS[1] * a + (1 - BETAS[1]) * b * b, v, g)
        scale1, scale2 = 1 / (1 - BETAS[0] ** count), 1 / (1 - BETAS[1] ** count)
        new = {
            k: w[k] - LEARNING_RATE * (m[k] * scale1 / (jnp.sqrt(v[k] * scale2) + ADAM_EPS) + setting.decay[k] * w[k])
            for k in w
        }
        return new, m, v, count, loss

    return jax.jit(step, donate_argnums=(0, 1, 2))


def training(problem: Problem, scalar: str) -> Variant:
    setting = Setting(problem, scalar)
    step = adamw_step(setting)

    def fresh():
        point = jax.tree.map(jnp.copy, setting.point)
        return [point, jax.tree.map(jnp.zeros_like, point), jax.tree.map(jnp.zeros_like, point),
                jnp.zeros((), DTYPES[scalar])]

    state = fresh()

    def call():
        *state[:], loss = step(*state)
        return jax.block_until_ready((state, loss))

    def losses(updates: int) -> list[float]:
        own, found = fresh(), []
        for _ in range(updates + 1):
            *own, loss = step(*own)
            found.append(float(loss))
        return found

    return Variant("jax", "jit", call, losses=losses)


def gradient(problem: Problem, scalar: str) -> Variant:
    setting = Setting(problem, scalar)
    return setting.variant("jit grad", jax.jit(jax.grad(setting.loss)), setting.point)


def hessian(problem: Problem, scalar: str) -> Variant:
    setting = Setting(problem, scalar)
    product = jax.jit(lambda w, t: jax.jvp(jax.grad(setting.loss), (w,), (t,))[1])
    return setting.variant("jit jvp of grad", product, setting.point, setting.direction)


def kept_hessian(problem: Problem, scalar: str) -> Variant:
    setting = Setting(problem, scalar)
    _, linear = jax.jit(lambda w: jax.linearize(jax.grad(setting.loss), w))(setting.point)
    return setting.variant("linearize, kept", jax.jit(lambda f, t: f(t)), linear, setting.direction)


def kept_blocks(problem: Problem, scalar: str) -> Variant:
    """The same over the matrices of the layers alone; the rest is held fixed."""
    setting = Setting(problem, scalar)
    moving = [name for name, moves in zip(setting.names, problem.in_layers) if moves]
    part_of = lambda tree: {name: tree[name] for name in moving}  # noqa: E731
    loss = lambda w, all: setting.loss({**all, **w})  # noqa: E731
    _, linear = jax.jit(lambda w, all: jax.linearize(lambda m: jax.grad(loss)(m, all), w))(
        part_of(setting.point), setting.point)
    product, direction = jax.jit(lambda f, t: f(t)), part_of(setting.direction)

    def call():
        return jax.block_until_ready(product(linear, direction))

    def whole() -> np.ndarray:
        return setting.flat({**jax.tree.map(jnp.zeros_like, setting.point), **call()})

    return Variant("jax", "linearize, kept", call, whole)


def loss_hessian_product(logits, tangent):
    p = jax.nn.softmax(logits, axis=-1)
    return p * (tangent - jnp.sum(p * tangent, axis=-1, keepdims=True)) / len(logits)


def ggn(problem: Problem, scalar: str) -> Variant:
    setting = Setting(problem, scalar)

    def product(w, t):
        logits, tangent = jax.jvp(setting.outputs, (w,), (t,))
        return jax.vjp(setting.outputs, w)[1](loss_hessian_product(logits, tangent))[0]

    return setting.variant("jit jvp, vjp", jax.jit(product), setting.point, setting.direction)


def kept_ggn(problem: Problem, scalar: str) -> Variant:
    setting = Setting(problem, scalar)
    logits, push = jax.jit(lambda w: jax.linearize(setting.outputs, w))(setting.point)
    _, pull = jax.jit(lambda w: jax.vjp(setting.outputs, w))(setting.point)
    product = jax.jit(lambda z, f, b, t: b(loss_hessian_product(z, f(t)))[0])
    return setting.variant("linearize and vjp, kept", product, logits, push, pull, setting.direction)


def jax_variants(problem: Problem, measure: str, thorough: bool) -> list:
    """Functions that make the variants; without `thorough`, only the one that wins on smaller models."""
    kind, scalar = measure.split("_")
    makers = {"train": [training], "gradient": [gradient], "hvp": [kept_hessian, hessian], "ggn": [kept_ggn, ggn], "blocks": [kept_blocks]}[kind]
    return [lambda make=make: make(problem, scalar) for make in (makers if thorough else makers[:1])]
