"""Writes stored_scales.json beside this file: weights quantized with scales that are stored in few bits, in float64
numpy alone, by the definitions of the formats. usage: python3 make_stored_scales.py"""

import json
from pathlib import Path

import numpy as np


def weights(rows, cols):
    """Numbers of a linear congruential generator, in row-major order; each group of 32 has a size of its own."""
    state, values = 12345, []
    for i in range(rows * cols):
        state = (1103515245 * state + 12345) % 2**31
        values.append((state / 2**30 - 1) * (1 + (i // 32) % 13) * 2.0**-5)
    return np.array(values).reshape(rows, cols)


def half(x):
    return np.float16(x).astype(np.float64)


def groups(w, size):
    return w.reshape(w.shape[0], -1, size)


def awq(w, bits, size):
    """Asymmetric; the scale is half precision before zero points and codes are taken."""
    g = groups(w, size)
    low, high = np.minimum(g.min(-1, keepdims=True), 0), np.maximum(g.max(-1, keepdims=True), 0)
    scale = half((high - low) / (2**bits - 1))
    zero = np.round(-low / scale)
    codes = np.clip(np.round(g / scale) + zero, 0, 2**bits - 1)
    return ((codes - zero) * scale).reshape(w.shape)


def symmetric(w, bits, size, code_scale, value_scale):
    g = groups(w, size)
    top = 2 ** (bits - 1) - 1
    scale = np.abs(g).max(-1, keepdims=True) / top
    codes = np.clip(np.round(g / code_scale(scale)), -top, top)
    return (codes * value_scale(scale)).reshape(w.shape)


def q4_0(w, size=32):
    """ggml: the signed extreme over -8, codes with the scale in single or double precision, values with its half."""
    g = groups(w, size)
    extreme = np.take_along_axis(g, np.abs(g).argmax(-1)[..., None], -1)
    scale = extreme / -8
    return (np.clip(np.round(g / scale), -8, 7) * half(scale)).reshape(w.shape)


def q4_1(w, size=32):
    """ggml: minimum and scale are stored as halves, the codes are taken before."""
    g = groups(w, size)
    low, high = g.min(-1, keepdims=True), g.max(-1, keepdims=True)
    scale = (high - low) / 15
    return (np.clip(np.round((g - low) / scale), 0, 15) * half(scale) + half(low)).reshape(w.shape)


def dynamic_map():
    """Signed, 8 bits, up to 7 exponent bits: decades of 1, 2, 4, ... 64 fractions, the middles of equal intervals."""
    values = [0.0, 1.0]
    for i in range(7):
        edges = np.linspace(0.1, 1, 2**i + 1)
        middles = 10.0 ** (i - 6) * (edges[:-1] + edges[1:]) / 2
        values += [*middles, *-middles]
    assert len(values) == 256
    return np.sort(values)


def double_quantized(scales, block=256):
    """Of one tensor: without the mean, in blocks, in 8 bits, and back."""
    flat = scales.reshape(-1)
    table, mean, found = dynamic_map(), flat.mean(), []
    for first in range(0, flat.size, block):
        part = flat[first:first + block] - mean
        largest = np.abs(part).max()
        nearest = np.abs(part[:, None] / largest - table[None, :]).argmin(1)
        found.append(table[nearest] * largest + mean)
    return np.concatenate(found).reshape(scales.shape)


NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
                0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                0.7229568362236023, 1.0])


def qlora(w, size=64):
    g = groups(w, size)
    absmax = np.abs(g).max(-1, keepdims=True)
    codes = np.abs((g / absmax)[..., None] - NF4).argmin(-1)
    return (NF4[codes] * double_quantized(absmax)).reshape(w.shape)


def main():
    same = lambda scale: scale  # noqa: E731
    small, large = weights(3, 96), weights(40, 448)  # of the large ones 280 groups of 64, 1120 of 16
    result = {
        "small": [3, 96], "large": [40, 448],
        "sample": small[0, :4].tolist(),
        "dynamic_map": dynamic_map().tolist(),
        "scales": double_quantized(np.abs(groups(large, 64)).max(-1)).reshape(-1).tolist(),
        "cases": {
            "awq 4 bits, groups of 32": awq(small, 4, 32).tolist(),
            "awq 3 bits, groups of 16": awq(small, 3, 16).tolist(),
            "restricted 4 bits, groups of 32, fp16": symmetric(small, 4, 32, half, half).tolist(),
            "restricted 4 bits, groups of 32, fp16_stored": symmetric(small, 4, 32, same, half).tolist(),
            "q4_0": q4_0(small).tolist(),
            "q4_1": q4_1(small).tolist(),
        },
        # Every 29th value, so that the file stays small.
        "qlora": qlora(large).reshape(-1)[::29].tolist(),
        "double-quantized 4 bits, groups of 16":
            symmetric(large, 4, 16, same, double_quantized).reshape(-1)[::29].tolist(),
    }
    Path(__file__).with_name("stored_scales.json").write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
