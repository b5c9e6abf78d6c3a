#!/usr/bin/env python3
"""Makes the tiny checkpoints under tests/golden/import and what PyTorch computes from them in float64.

Run by hand (needs torch, transformers, tokenizers, safetensors):  make_reference.py tests/golden/import
Each folder holds a model as its library saves it (float64 safetensors, config.json, tokenizer.json), expected.json
(fixed tokens, logits, mean loss, encodings of texts, a greedy continuation), and under the model's own tensor names
direction.safetensors (16 bits), gradient.safetensors and hessian_product.safetensors (float64).
Three places of the library compute in float32 whatever the model's type; they are replaced here.
With --rope only the checkpoints with scaled rotary frequencies are made."""
import json
import os
import shutil
import struct
import sys

import safetensors.torch
import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXT = """It was the best of times, it was the worst of times; it was the age of wisdom, it wasn't the age of
foolishness.  The year 1775: they'll say we've seen 12 cities.\n\n  An indented line\tand a tab, I'm sure -- caf\u00e9."""
PROBES = ["", " ", "it was the best", "  two blanks", "it's we've they'll I'M", "12345 and 7", "line\n\n  next\r\n \n",
          "tail  ", "a\u00a0b", "caf\u00e9 na\u00efve", "(paren) x", "\u201cquoted\u201d \u2014 dash", "\u4f60\u597d 3\u00bd\u00b2",
          "a<|end|>b <|end|>", "\tword\t12\t!", "don't''s 's", "\U0001f600 ok"]
POSITIONS, SEQUENCES = 8, 2


class ExactRms(torch.nn.Module):
    """RMSNorm without the library's detour through float32."""

    def __init__(self, other):
        super().__init__()
        self.weight, self.eps = other.weight, other.variance_epsilon

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


class WideTorch:
    """torch with float64 wherever the library's frequencies ask for float32."""

    def __getattr__(self, name):
        return torch.float64 if name in ("float", "float32") else getattr(torch, name)


def scaled_frequencies(config):
    """The library's own rule for scaled rotary frequencies, in float64."""
    rope = transformers.modeling_rope_utils
    rope.torch = WideTorch()
    frequency, attention_factor = rope.ROPE_INIT_FUNCTIONS[config.rope_parameters["rope_type"]](config)
    rope.torch = torch
    assert frequency.dtype == torch.float64 and attention_factor == 1
    return frequency


class ExactRope(torch.nn.Module):
    """Angles in float64; the library keeps frequencies in float32."""

    def __init__(self, base, turned, frequency=None):
        super().__init__()
        plain = base ** (-torch.arange(0, turned, 2, dtype=torch.float64) / turned)
        self.frequency = plain if frequency is None else frequency

    def forward(self, x, position_ids):
        angle = position_ids[..., None].double() * self.frequency
        angle = torch.cat((angle, angle), dim=-1)
        return angle.cos(), angle.sin()


def exact(model):
    for name, module in list(model.named_modules()):
        if type(module).__name__ == "LlamaRMSNorm":
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, ExactRms(module))
    base = model.base_model
    if hasattr(base, "rotary_emb"):
        parameters = model.config.rope_parameters
        head = getattr(model.config, "head_dim", None) or model.config.hidden_size // model.config.num_attention_heads
        frequency = None if parameters["rope_type"] == "default" else scaled_frequencies(model.config)
        base.rotary_emb = ExactRope(parameters["rope_theta"],
                                    int(head * parameters.get("partial_rotary_factor", 1.0)), frequency)
    return model


def without_downcast():
    softmax = torch.nn.functional.softmax
    torch.nn.functional.softmax = lambda x, dim=None, dtype=None, **_: softmax(x, dim=dim)


def numbers(tensor):
    return [float("%.17g" % v) for v in tensor.detach().double().reshape(-1).tolist()]


def randomize(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            draw = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            is_scale = p.dim() == 1 and name.endswith("weight")
            p.copy_(1 + 0.2 * draw if is_scale else 0.3 * draw if p.dim() == 1 else draw / p.shape[-1] ** 0.5)


def derivatives(model, tokens, seed, stored, folder):
    """Logits and mean loss; writes a direction, the gradient and the Hessian product under the parameters' names."""
    generator = torch.Generator().manual_seed(seed)
    parameters = dict(model.named_parameters())
    direction = {n: torch.randn(p.shape, generator=generator).to(stored) for n, p in parameters.items()}
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1))
    gradient = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
    slope = sum((g * direction[n].double()).sum() for g, n in zip(gradient, parameters))
    product = torch.autograd.grad(slope, list(parameters.values()))
    # The library keeps GPT-NeoX's head under another name in memory than in files.
    stored_name = lambda n: "embed_out.weight" if n == "lm_head.weight" and "gpt_neox" in str(list(parameters)) else n
    save = lambda name, tensors: safetensors.torch.save_file(
        {stored_name(n): t.detach().contiguous() for n, t in tensors.items()}, os.path.join(folder, name + ".safetensors"))
    save("direction", direction)
    save("gradient", dict(zip(parameters, gradient)))
    save("hessian_product", dict(zip(parameters, product)))
    return {"logits": numbers(logits), "loss": loss.item()}


def greedy(model, prompt, count):
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
    return tokens[len(prompt):]


def make_tokenizer(kind, vocabulary):
    tokenizer = Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind not in ("llama3",))
    if kind == "llama3":
        expression = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                      r"|\s*[\r\n]+|\s+(?!\S)|\s+")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(expression), behavior="isolated", invert=False), byte_level])
    elif kind == "digits":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    else:
        tokenizer.pre_tokenizer = byte_level
    if kind == "neox":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False, special_tokens=["<|begin|>", "<|end|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    if kind == "neox":
        tokenizer.add_tokens([AddedToken("  ", normalized=True), AddedToken("    ", normalized=True)])
    if kind == "llama3":
        tokenizer.post_processor = processors.Sequence(
            [processors.ByteLevel(trim_offsets=True),
             processors.TemplateProcessing(single="<|begin|> $A", pair="<|begin|> $A <|begin|> $B",
                                           special_tokens=[("<|begin|>", tokenizer.token_to_id("<|begin|>"))])])
    return tokenizer


def write_tokenizer(folder, kind):
    tokenizer = make_tokenizer(kind, 290)
    tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    texts = PROBES + [TEXT]
    ids = [tokenizer.encode(t, add_special_tokens=False).ids for t in texts]
    with_begin = tokenizer.encode("it", add_special_tokens=True).ids
    return {"texts": texts, "ids": ids, "begin": with_begin[0] if len(with_begin) > len(
        tokenizer.encode("it", add_special_tokens=False).ids) else None}


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, separators=(",", ":"))


def write_model(root, name, model, tokenizer_kind, seed, stored=torch.float16, shard=None):
    folder = os.path.join(root, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model = model.double().eval()
    randomize(model, seed)
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    for extra in ("generation_config.json",):
        if os.path.exists(os.path.join(folder, extra)):
            os.remove(os.path.join(folder, extra))
    model = exact(model)
    generator = torch.Generator().manual_seed(seed + 1)
    tokens = torch.randint(0, model.config.vocab_size, (SEQUENCES, POSITIONS + 1), generator=generator)
    expected = {"positions": POSITIONS, "tokens": tokens.reshape(-1).tolist()}
    expected.update(derivatives(model, tokens, seed + 2, stored, folder))
    expected["greedy"] = greedy(model, tokens[0, :3].tolist(), 5)
    expected["encodings"] = write_tokenizer(folder, tokenizer_kind)
    write_json(os.path.join(folder, "expected.json"), expected)
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o644)


def llama(tied, kv_heads, **more):
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=kv_heads, max_position_embeddings=24, rms_norm_eps=1e-5, tie_word_embeddings=tied,
        attn_implementation="eager", **more))


def gpt2():
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=40, n_embd=16, n_layer=2, n_head=4, n_inner=24, n_positions=12, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
        attn_implementation="eager"))


def neox(parallel):
    return transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=24, rotary_pct=0.5, use_parallel_residual=parallel, attn_implementation="eager",
        hidden_dropout=0.0, attention_dropout=0.0))


def interleaved(weight, heads):
    """The library's rows for half pairing -> the rows of the interleaved pairing."""
    rows, columns = weight.shape
    return weight.view(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns)


def write_llama2c(root):
    folder = os.path.join(root, "llama2c")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model = llama(True, 2).double().eval()
    randomize(model, 50)
    with torch.no_grad():  # what float32 holds
        for p in model.parameters():
            p.copy_(p.float().double())
    c, state = model.config, model.state_dict()
    layer = lambda name: [state["model.layers.%d.%s.weight" % (l, name)] for l in range(c.num_hidden_layers)]
    wq = [interleaved(w, 4) for w in layer("self_attn.q_proj")]
    wk = [interleaved(w, 2) for w in layer("self_attn.k_proj")]
    attention = wq + wk + layer("self_attn.v_proj") + layer("self_attn.o_proj")
    mlp = layer("mlp.gate_proj") + layer("mlp.down_proj") + layer("mlp.up_proj")
    embedding, norm = state["model.embed_tokens.weight"], state["model.norm.weight"]
    norms1, norms2 = layer("input_layernorm"), layer("post_attention_layernorm")
    angle = torch.arange(24, dtype=torch.float64)[:, None] * torch.tensor([1.0, 0.01], dtype=torch.float64)
    tables = [angle.cos(), angle.sin()]
    flat = lambda tensors: b"".join(struct.pack("<%df" % t.numel(), *t.reshape(-1).tolist()) for t in tensors)
    header = (16, 20, 2, 4, 2, 40, 24)
    with open(os.path.join(folder, "model.bin"), "wb") as file:
        file.write(struct.pack("<7i", *header) + flat([embedding] + norms1 + attention + norms2 + mlp + [norm] + tables))
    with open(os.path.join(folder, "untied.bin"), "wb") as file:
        file.write(struct.pack("<7i", *header[:5], -40, 24)
                   + flat([embedding] + norms1 + attention + norms2 + mlp + [norm] + tables + [embedding.flip(0)]))
    with open(os.path.join(folder, "version1.bin"), "wb") as file:
        file.write((struct.pack("<Ii7iB", 0x616b3432, 1, *header, 1)).ljust(256, b"\0")
                   + flat(norms1 + norms2 + [norm, embedding] + attention + mlp))
    model = exact(model)
    tokens = torch.randint(0, 40, (SEQUENCES, POSITIONS + 1), generator=torch.Generator().manual_seed(51))
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 40), tokens[:, 1:].reshape(-1))
    expected = {"positions": POSITIONS, "tokens": tokens.reshape(-1).tolist(), "logits": numbers(logits),
                "loss": loss.item(), "greedy": greedy(model, tokens[0, :3].tolist(), 5)}
    expected["encodings"] = write_pieces(os.path.join(folder, "tokenizer.bin"))
    write_json(os.path.join(folder, "expected.json"), expected)


def write_pieces(path):
    """A tokenizer.bin with pieces whose scores fall in the order of their merges, and encodings by a naive scan."""
    pieces = ["<unk>", "\n<s>\n", "\n</s>\n"] + ["<0x%02X>" % b for b in range(256)]
    merged = [" t", "he", " the", "it", " w", "as", " was", " b", "es", "est", " best", " it", "ti", "me", "time", "  "]
    characters = sorted(set("it was the best of times, age wisdom\u00e9"))
    scores = [0.0] * len(pieces) + [-float(i) for i in range(len(merged))] + [-100.0 - i for i in range(len(characters))]
    pieces += merged + characters
    encoded = [p.encode() for p in pieces]
    with open(path, "wb") as file:
        file.write(struct.pack("<i", max(map(len, encoded))))
        for piece, score in zip(encoded, scores):
            file.write(struct.pack("<fi", score, len(piece)) + piece)
    ids = {}
    for i, piece in enumerate(pieces):
        ids.setdefault(piece, i)
    texts = [t for t in PROBES if "\ufffd" not in t] + ["it was the best of times"]
    return {"texts": texts, "ids": [encode_pieces(t, pieces, scores, ids) for t in texts], "begin": 1}


def encode_pieces(text, pieces, scores, ids):
    if not text:
        return []
    out = []
    for c in " " + text:
        out += [ids[c]] if c in ids else [ids["<0x%02X>" % b] for b in c.encode()]
    while True:
        best = None
        for i in range(len(out) - 1):
            joined = ids.get(pieces[out[i]] + pieces[out[i + 1]])
            if joined is not None and (best is None or scores[joined] > best[0]):
                best = (scores[joined], i, joined)
        if best is None:
            return out
        out[best[1]:best[1] + 2] = [best[2]]


def write_scaled(root, name, model, seed):
    """Logits only, over the whole context: the frequencies are all that differs from the other checkpoints."""
    folder = os.path.join(root, name)
    shutil.rmtree(folder, ignore_errors=True)
    model = model.double().eval()
    randomize(model, seed)
    model.save_pretrained(folder)
    os.remove(os.path.join(folder, "generation_config.json"))
    model = exact(model)
    positions, vocabulary = model.config.max_position_embeddings, model.config.vocab_size
    tokens = torch.randint(0, vocabulary, (1, positions + 1), generator=torch.Generator().manual_seed(seed + 1))
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, vocabulary), tokens[:, 1:].reshape(-1))
    write_json(os.path.join(folder, "expected.json"), {"positions": positions, "tokens": tokens.reshape(-1).tolist(),
                                                       "logits": numbers(logits), "loss": loss.item()})


def write_scaled_models(root):
    """Eight frequencies of which rule llama3 keeps two, blends one and divides five; and linear scaling of a part of
    each head."""
    llama3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
              "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    write_scaled(root, "llama3_rope", transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=1,
        max_position_embeddings=40, tie_word_embeddings=True, rope_parameters=llama3, attn_implementation="eager")), 60)
    linear = {"rope_type": "linear", "rope_theta": 700.0, "factor": 4.0, "partial_rotary_factor": 0.5}
    write_scaled(root, "neox_linear_rope", transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(
        vocab_size=32, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=1,
        max_position_embeddings=40, rope_parameters=linear, attn_implementation="eager", hidden_dropout=0.0,
        attention_dropout=0.0)), 70)


def main():
    root = sys.argv[1]
    without_downcast()
    if "--rope" in sys.argv:
        return write_scaled_models(root)
    write_model(root, "llama", llama(False, 4, attention_bias=True), "llama3", 10)
    write_model(root, "llama_tied_gqa", llama(True, 2, head_dim=6, rope_theta=500.0), "digits", 20)
    write_model(root, "gpt2", gpt2(), "gpt2", 30)
    write_model(root, "neox", neox(True), "neox", 40, torch.bfloat16, "12KB")
    write_llama2c(root)
    write_scaled_models(root)


main()
