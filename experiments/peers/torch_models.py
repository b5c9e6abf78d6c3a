"""The models in PyTorch, as a user would write them; parameters in the order of hone's flat vector."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from problems import NORM_EPS, ROPE_BASE, Problem


class TorchTransformer(nn.Module):
    """Llama-style decoder. The style `fused` uses PyTorch's own attention and RMSNorm, made for a training step;
    `plain` has attention as two products and a softmax, which can be differentiated twice; `composed` also spells
    SiLU out, because its backward has no forward derivative under vmap, where curvlinops needs one."""

    def __init__(self, problem: Problem, dtype: torch.dtype, style: str):
        super().__init__()
        self.shape, self.fused, self.composed = problem.shape, style == "fused", style == "composed"
        for block, value in zip(problem.blocks, problem.split(problem.theta)):
            self.register_parameter(block.name, nn.Parameter(torch.tensor(value, dtype=dtype)))
        half = self.shape.width // self.shape.heads // 2
        angles = np.outer(np.arange(self.shape.positions), ROPE_BASE ** (-np.arange(half) / half))
        self.register_buffer("cosine", torch.tensor(np.cos(angles), dtype=dtype))
        self.register_buffer("sine", torch.tensor(np.sin(angles), dtype=dtype))
        mask = torch.full((self.shape.positions,) * 2, -math.inf, dtype=dtype).triu(1)
        self.register_buffer("mask", mask)

    def norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        if self.fused:
            return functional.rms_norm(x, weight.shape, weight, NORM_EPS)
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + NORM_EPS) * weight

    def rotated(self, x: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * self.cosine - b * self.sine, a * self.sine + b * self.cosine), dim=-1)

    def attention(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        if self.fused:
            return functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + self.mask
        return torch.softmax(scores, dim=-1) @ v

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits (B·T, vocabulary)."""
        sequences, positions = tokens.shape
        x = functional.embedding(tokens, self.tok_emb)

        def heads_of(y: torch.Tensor) -> torch.Tensor:
            return y.view(sequences, positions, self.shape.heads, -1).transpose(1, 2)

        for layer in range(self.shape.layers):
            w = {name: getattr(self, f"layer{layer}_{name}") for name in LAYER_PARTS}
            y = self.norm(x, w["attn_norm"])
            q, k, v = (heads_of(functional.linear(y, w[name])) for name in ("wq", "wk", "wv"))
            o = self.attention(self.rotated(q), self.rotated(k), v).transpose(1, 2).reshape(x.shape)
            x = x + functional.linear(o, w["wo"])
            y = self.norm(x, w["mlp_norm"])
            gate = functional.linear(y, w["w_gate"])
            gate = gate * torch.sigmoid(gate) if self.composed else functional.silu(gate)
            x = x + functional.linear(gate * functional.linear(y, w["w_up"]), w["w_down"])
        return functional.linear(self.norm(x, self.final_norm), self.head).flatten(0, 1)


LAYER_PARTS = ("attn_norm", "wq", "wk", "wv", "wo", "mlp_norm", "w_gate", "w_up", "w_down")


class TorchMlp(nn.Module):
    def __init__(self, problem: Problem, dtype: torch.dtype):
        super().__init__()
        self.linears = len(problem.shape.widths) - 1
        for block, value in zip(problem.blocks, problem.split(problem.theta)):
            self.register_parameter(block.name, nn.Parameter(torch.tensor(value, dtype=dtype)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in range(self.linears):
            x = functional.linear(x, getattr(self, f"w{layer}"), getattr(self, f"b{layer}"))
            if layer + 1 < self.linears:
                x = torch.tanh(x)
        return x


def make_model(problem: Problem, dtype: torch.dtype, style: str = "plain") -> nn.Module:
    if problem.shape.kind == "mlp":
        return TorchMlp(problem, dtype)
    return TorchTransformer(problem, dtype, style)


def make_batch(problem: Problem, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs, and targets as one column of loss terms."""
    inputs = torch.tensor(problem.inputs)
    targets = torch.tensor(problem.targets).flatten()
    return (inputs if problem.shape.kind == "transformer" else inputs.to(dtype)), targets
