#!/usr/bin/env python3
"""Compares `hone measure` with the transformers library on random small checkpoints.

Run by hand (needs torch, transformers, safetensors):  compare_models.py HONE COUNT [SEED]
Each checkpoint has a random family, sizes, activation, rotary positions, aliases, settings without effect, and tensors
that repeat the config. Most are sound, and the loss must be that of the library to 2e-5. The others carry one
contradiction, and hone must refuse them. The last line counts both; the exit code is 1 when one differs."""
import json
import math
import os
import random
import subprocess
import sys
import tempfile

import safetensors.torch
import torch
import transformers

T = 24
SAFE = "".join(chr(c) for c in range(33, 127))


def tokenizer():
    vocabulary, spare = {}, 256
    for byte in range(256):
        is_plain = 33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174
        vocabulary[chr(byte if is_plain else spare)] = byte
        spare += not is_plain
    return {"version": "1.0", "model": {"type": "BPE", "vocab": vocabulary, "merges": []}, "added_tokens": [],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
            "decoder": {"type": "ByteLevel"}}


def rope_fields(draw, share_names):
    """Fields of a config, in any of the spellings that files have."""
    kind = draw.choice(["none", "none", "default", "linear", "llama3", "dynamic", "one"])
    theta = draw.choice([10000.0, 500000.0, 700.0])
    rope = {"linear": {"rope_type": "linear", "factor": draw.choice([2.0, 8])},
            "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                       "original_max_position_embeddings": draw.choice([8, 32, 64])},
            "dynamic": {"rope_type": "dynamic", "factor": 2.0},
            "one": {"rope_type": draw.choice(["linear", "yarn"]), "factor": 1.0},
            "default": {"rope_type": "default"}}.get(kind)
    if rope and "yarn" in rope.values():
        rope["original_max_position_embeddings"] = 64
    if rope and draw.random() < 0.3 and kind != "llama3":
        rope["type"] = rope.pop("rope_type")
    share = {draw.choice(share_names): draw.choice([0.25, 0.5, 1.0])} if share_names else {}
    if draw.random() < 0.5:
        base = "rotary_emb_base" if share_names else "rope_theta"
        return {**share, base: theta, **({"rope_scaling": rope} if rope or draw.random() < 0.5 else {})}
    inner = {**(rope or {"rope_type": "default"}), "rope_theta": theta}
    if share:
        inner["partial_rotary_factor"] = next(iter(share.values()))
    return {"rope_parameters": inner}


def llama(draw):
    heads = draw.choice([1, 2, 4])
    config = {"model_type": "llama", "vocab_size": 256, "hidden_size": 16, "intermediate_size": 24,
              "num_hidden_layers": 2, "num_attention_heads": heads, "max_position_embeddings": 64,
              "rms_norm_eps": draw.choice([1e-5, 1e-6]), "hidden_act": draw.choice(["silu", "swish"]),
              "attention_bias": draw.random() < 0.3, **rope_fields(draw, [])}
    if draw.random() < 0.5:
        config["num_key_value_heads"] = draw.choice([k for k in (1, 2, 4) if heads % k == 0])
    if draw.random() < 0.3:
        config["head_dim"] = draw.choice([4, 8, 16])
    if draw.random() < 0.5:
        config["tie_word_embeddings"] = draw.random() < 0.5
    config.update(draw.choice([{}, {"pretraining_tp": 2}, {"attention_dropout": 0.1}, {"sliding_window": None},
                               {"mlp_bias": False}, {"layer_types": ["full_attention"] * 2}]))
    return config


def gpt2(draw):
    config = {"model_type": "gpt2", "vocab_size": 256, "n_embd": 16, "n_layer": 2, "n_head": draw.choice([1, 2, 4]),
              "n_positions": 64, "activation_function": draw.choice(
                  ["gelu", "gelu_new", "gelu_fast", "gelu_python", "gelu_pytorch_tanh", "gelu_accurate"]),
              "layer_norm_epsilon": 1e-5}
    if draw.random() < 0.5:
        config["n_inner"] = draw.choice([None, 24])
    if draw.random() < 0.5:
        config["tie_word_embeddings"] = draw.random() < 0.7
    return config


def neox(draw):
    config = {"model_type": "gpt_neox", "vocab_size": 256, "hidden_size": 16, "intermediate_size": 24,
              "num_hidden_layers": 2, "num_attention_heads": 1, "max_position_embeddings": 64,
              "hidden_act": draw.choice(["gelu", "gelu_new", "gelu_fast", "gelu_python_tanh"]),
              "use_parallel_residual": draw.random() < 0.5, "layer_norm_eps": 1e-5,
              **rope_fields(draw, ["rotary_pct"])}
    if draw.random() < 0.5:
        config["tie_word_embeddings"] = draw.random() < 0.5
    return config


def weights_of(model, draw):
    generator = torch.Generator().manual_seed(draw.randrange(1 << 30))
    with torch.no_grad():
        for name, p in model.named_parameters():
            value = torch.randn(p.shape, generator=generator)
            is_scale = p.dim() == 1 and name.endswith("weight")
            p.copy_(1 + 0.2 * value if is_scale else 0.3 * value if p.dim() == 1 else value / p.shape[-1] ** 0.5)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return safetensors.torch.load_file(os.path.join(folder, "model.safetensors"))


def inverse_frequencies(config):
    rope = {**config, **(config.get("rope_scaling") or config.get("rope_parameters") or {})}
    theta = rope.get("rope_theta", rope.get("rotary_emb_base", 10000.0))
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    share = rope.get("partial_rotary_factor", rope.get("rotary_pct", 0.25)) if "neox" in config["model_type"] else 1
    turned = int(head * share)
    return 1.0 / theta ** (torch.arange(0, turned, 2).float() / turned)


def add_redundant(tensors, config, draw):
    """Tensors without effect; returns a name for a contradiction among them, if one was drawn."""
    family, contradiction = config["model_type"], None
    is_wrong = draw.random() < 0.25
    mask = torch.tril(torch.ones(64, 64)).reshape(1, 1, 64, 64).to(draw.choice([torch.bool, torch.uint8, torch.float16]))
    if family != "llama" and draw.random() < 0.5:
        prefix = "transformer.h.1.attn." if family == "gpt2" else "gpt_neox.layers.1.attention."
        masked = torch.tensor(draw.choice([-1e4, -1e9, -math.inf]))
        if is_wrong:
            contradiction = draw.choice(["mask", "masked"])
            if contradiction == "mask":
                mask[0, 0, draw.randrange(1, 64), 0] = 0
            else:
                masked = torch.tensor(-5.0)
        tensors[prefix + "bias"], tensors[prefix + "masked_bias"] = mask, masked
    elif family != "gpt2" and draw.random() < 0.5:
        name = "model.layers.0.self_attn." if family == "llama" else "gpt_neox.layers.0.attention."
        frequencies = inverse_frequencies(config).to(draw.choice([torch.float32, torch.float16, torch.bfloat16]))
        if is_wrong:
            contradiction = "inv_freq"
            frequencies[0] = 0.9
        tensors[name + "rotary_emb.inv_freq"] = frequencies
    is_tied = config.get("tie_word_embeddings", family == "gpt2")
    embedding = {"llama": "model.embed_tokens.weight", "gpt2": "transformer.wte.weight",
                 "gpt_neox": "gpt_neox.embed_in.weight"}[family]
    head = "embed_out.weight" if family == "gpt_neox" else "lm_head.weight"
    if is_tied and draw.random() < 0.6:
        tensors[head] = tensors[embedding].clone()
        if draw.random() < 0.5:
            tensors[head][draw.randrange(256), 3] += 0.5
    return contradiction


def one(hone, folder, draw):
    config = draw.choice([llama, gpt2, neox])(draw)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    loaded = transformers.AutoConfig.from_pretrained(folder)
    tensors = weights_of(transformers.AutoModelForCausalLM.from_config(loaded), draw)
    contradiction = add_redundant(tensors, config, draw)
    safetensors.torch.save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    text = "".join(draw.choice(SAFE) for _ in range(2 * (T + 1)))
    with open(os.path.join(folder, "text.txt"), "w") as file:
        file.write(text)
    words = [hone, "measure", folder, "--text", os.path.join(folder, "text.txt"), "--windows", "2", "--context", str(T),
             "--curvature-windows", "2", "--lanczos-steps", "3", "--eigenpairs", "1", "--eigenpairs-smallest", "0",
             "--slq-probes", "1", "--slq-steps", "2", "--trace-probes", "2", "--bits", "8", "--threads", "1",
             "--out", os.path.join(folder, "out.h5")]
    said = subprocess.run(words, capture_output=True, text=True)
    if contradiction:
        return said.returncode == 1 and "tensor '" in said.stderr, "refused", f"{contradiction}: {said.stderr}"
    lines = [line for line in said.stdout.splitlines() if line.startswith("loss ")]
    if not lines:
        return False, "equal", f"{json.dumps(config)}: {said.stderr}"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    tokens = torch.tensor([ord(c) for c in text]).reshape(2, T + 1)
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 256), tokens[:, 1:].reshape(-1)).item()
    difference = abs(float(lines[0].split()[1]) - loss)
    return difference < 2e-5, "equal", f"{json.dumps(config)}: {lines[0]}, the library {loss:.6f}"


def main():
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    hone, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    counts, failed = {"equal": 0, "refused": 0}, 0
    for i in range(count):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "tokenizer.json"), "w") as file:
                json.dump(tokenizer(), file)
            good, kind, words = one(hone, folder, random.Random(f"{seed} {i}"))
        counts[kind] += good
        failed += not good
        if not good:
            print(f"checkpoint {i}: {words}")
    print(f"{counts['equal']} losses equal, {counts['refused']} contradictions refused, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
