"""GPTQ of a small Llama in PyTorch, in the structure of the public scripts: one sequence at a time through one layer at
a time, a hook on each linear that adds to its own H, and a Python loop over the columns. float32 on the CPU.

  python gptq_peer.py [--threads 2]    prints the seconds for a million weights and 64 k calibration tokens

Compare with gptq_of_model of tests/bench/bench_quantize.cpp, whose model and set this is.
"""

import argparse
import time

import torch
from torch import nn
from torch.nn import functional

LAYERS, WIDTH, HEADS, MLP_WIDTH, VOCABULARY, POSITIONS, SEQUENCES = 5, 128, 4, 352, 256, 128, 512
BITS, DAMPING, BLOCK = 4, 0.01, 128
STAGES = (("wk", "wv", "wq"), ("wo",), ("w_up", "w_gate"), ("w_down",))


class Layer(nn.Module):
    """A Llama layer with the parts of the public model: pre-norm attention with rotary positions, then SwiGLU."""

    def __init__(self):
        super().__init__()
        for name in ("wq", "wk", "wv", "wo"):
            setattr(self, name, nn.Linear(WIDTH, WIDTH, bias=False))
        self.w_gate, self.w_up = (nn.Linear(WIDTH, MLP_WIDTH, bias=False) for _ in range(2))
        self.w_down = nn.Linear(MLP_WIDTH, WIDTH, bias=False)
        self.attn_norm, self.mlp_norm = (nn.Parameter(torch.ones(WIDTH)) for _ in range(2))
        half = WIDTH // HEADS // 2
        angles = torch.outer(torch.arange(POSITIONS), 10000.0 ** (-torch.arange(half) / half))
        self.register_buffer("cosine", angles.cos())
        self.register_buffer("sine", angles.sin())

    def rotated(self, x: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * self.cosine - b * self.sine, a * self.sine + b * self.cosine), dim=-1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def normed(y: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
            return y * torch.rsqrt((y * y).mean(-1, keepdim=True) + 1e-5) * gain

        y = normed(x, self.attn_norm)
        q, k, v = (part(y).view(*x.shape[:2], HEADS, -1).transpose(1, 2) for part in (self.wq, self.wk, self.wv))
        o = functional.scaled_dot_product_attention(self.rotated(q), self.rotated(k), v, is_causal=True)
        x = x + self.wo(o.transpose(1, 2).reshape(x.shape))
        y = normed(x, self.mlp_norm)
        return x + self.w_down(functional.silu(self.w_gate(y)) * self.w_up(y))


class Grid:
    """Asymmetric grid with 0 in the range, one step for each row."""

    def __init__(self, weight: torch.Tensor):
        zero = torch.zeros(weight.shape[0])
        low, high = torch.minimum(weight.min(1)[0], zero), torch.maximum(weight.max(1)[0], zero)
        empty = (low == 0) & (high == 0)
        low[empty], high[empty] = -1, 1
        self.top = 2**BITS - 1
        self.step = ((high - low) / self.top).unsqueeze(1)
        self.zero = torch.round(-low.unsqueeze(1) / self.step)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.step * (torch.clamp(torch.round(x / self.step) + self.zero, 0, self.top) - self.zero)


class Gptq:
    """One linear: collects H, then quantizes the weight column by column in blocks."""

    def __init__(self, linear: nn.Linear):
        self.linear, self.columns, self.samples = linear, linear.weight.shape[1], 0
        self.hessian = torch.zeros(self.columns, self.columns)

    def add_batch(self, x: torch.Tensor) -> None:
        batch = x.shape[0]
        x = x.reshape(-1, self.columns).t()
        self.hessian *= self.samples / (self.samples + batch)
        self.samples += batch
        x = (2 / self.samples) ** 0.5 * x.float()
        self.hessian += x.matmul(x.t())

    def quantize(self) -> None:
        weight, hessian = self.linear.weight.data.clone(), self.hessian
        grid = Grid(weight)
        dead = hessian.diagonal() == 0
        hessian[dead, dead] = 1
        weight[:, dead] = 0
        hessian.diagonal().add_(DAMPING * hessian.diagonal().mean())
        inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(hessian)), upper=True)
        result, losses = torch.zeros_like(weight), torch.zeros_like(weight)
        for begin in range(0, self.columns, BLOCK):
            end = min(begin + BLOCK, self.columns)
            block, errors = weight[:, begin:end].clone(), torch.zeros(weight.shape[0], end - begin)
            factor = inverse[begin:end, begin:end]
            for i in range(end - begin):
                column, pivot = block[:, i], factor[i, i]
                rounded = grid(column.unsqueeze(1)).flatten()
                result[:, begin + i] = rounded
                losses[:, begin + i] = (column - rounded) ** 2 / pivot**2 / 2
                error = (column - rounded) / pivot
                block[:, i:] -= error.unsqueeze(1).matmul(factor[i, i:].unsqueeze(0))
                errors[:, i] = error
            weight[:, end:] -= errors.matmul(inverse[begin:end, end:])
        self.linear.weight.data = result


def quantize_layer(layer: Layer, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
    for stage in STAGES:
        solvers = {name: Gptq(getattr(layer, name)) for name in stage}
        hooks = [
            getattr(layer, name).register_forward_hook(lambda _, x, __, solver=solver: solver.add_batch(x[0].data))
            for name, solver in solvers.items()
        ]
        for j in range(SEQUENCES):
            outputs[j] = layer(inputs[j].unsqueeze(0))
        for hook in hooks:
            hook.remove()
        for solver in solvers.values():
            solver.quantize()
    for j in range(SEQUENCES):
        outputs[j] = layer(inputs[j].unsqueeze(0))


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(1)
    embedding = torch.randn(VOCABULARY, WIDTH) / WIDTH**0.5
    layers = [Layer() for _ in range(LAYERS)]
    tokens = torch.randint(VOCABULARY, (SEQUENCES, POSITIONS))
    layers[0](embedding[tokens[:1]])  # the first call pays for loading the libraries
    begin = time.perf_counter()
    inputs = embedding[tokens]
    outputs = torch.zeros_like(inputs)
    for layer in layers:
        quantize_layer(layer, inputs, outputs)
        inputs, outputs = outputs, inputs
    print(f"gptq of {LAYERS} layers on {tokens.numel()} tokens: {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
