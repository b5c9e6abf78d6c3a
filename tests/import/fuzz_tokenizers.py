#!/usr/bin/env python3
"""Compares hone's ids with those of the library `tokenizers` on random texts, over the five layouts of
tests/golden/tokenizers and over variants of them. Wants the library, so run it from a virtual environment that has it:
  fuzz_tokenizers.py build/release/tests/import/encode_texts [--texts 6000] [--seed 1]
--golden writes a fixed part of the comparison, which the tests repeat without Python."""
import argparse
import json
import pathlib
import subprocess
import tempfile

from fuzz_texts import PROSE, texts
from tokenizers import Tokenizer

DATA = pathlib.Path(__file__).resolve().parent.parent / "golden" / "tokenizers"
LAYOUTS = ["gpt2", "neox", "llama3", "llama2", "metaspace"]
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")
BLANK_SIGN = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}


def metaspace(**settings):
    return {"normalizer": None, "pre_tokenizer": {**METASPACE, **settings}}


def byte_level(**settings):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True, **settings}


def split(text, behavior):
    return {"type": "Split", "pattern": {"String": text}, "behavior": behavior, "invert": False}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


# Each is a merge patch (RFC 7386) of the file of a layout.
VARIANTS = [
    ("gpt2", {"pre_tokenizer": {"add_prefix_space": True}}),
    ("gpt2", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, byte_level())}),
    ("gpt2", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False},
                                        byte_level(add_prefix_space=True))}),
    ("gpt2", {"pre_tokenizer": byte_level(use_regex=False), "truncation": {
        "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}, "padding": {
        "strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "<|endoftext|>"}}),
    ("neox", {"normalizer": {"type": "NFD"}}),
    ("neox", {"normalizer": {"type": "NFKC"}}),
    ("neox", {"normalizer": {"type": "NFKD"}}),
    ("llama3", {"normalizer": {"type": "NFC"}, "model": {"ignore_merges": False}}),
    ("llama3", {"pre_tokenizer": sequence({"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated",
                                           "invert": False}, byte_level(use_regex=False))}),
    ("llama2", {"model": {"fuse_unk": False, "ignore_merges": True}}),
    ("llama2", {"model": {"vocab": {"<0xE0>": None, "<0xD0>": None, "<0x00>": None, "<0xF0>": None}}}),
    ("llama2", {"model": {"vocab": {"<0xE0>": None, "<0xD0>": None, "<0xF0>": None}, "fuse_unk": False}}),
    ("llama2", {"model": {"byte_fallback": False}}),
    ("llama2", {"added_tokens": [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
                                  "normalized": True, "special": True}
                                 for i, token in enumerate(["<unk>", "<s>", "</s>"])]}),
    ("llama2", metaspace(prepend_scheme="first", split=False)),
    ("llama2", metaspace(prepend_scheme="always", split=True)),
    ("llama2", metaspace(prepend_scheme="never", split=False)),
    ("llama2", {"normalizer": None,
                "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}}),
    ("llama2", {"normalizer": BLANK_SIGN, "pre_tokenizer": split(" ", "MergedWithPrevious")}),
    ("llama2", {"normalizer": BLANK_SIGN, "pre_tokenizer": split("▁", "MergedWithPrevious")}),
    ("llama2", {"normalizer": BLANK_SIGN, "pre_tokenizer": split("▁", "MergedWithNext")}),
    ("metaspace", {"pre_tokenizer": sequence(split("e", "Removed"), METASPACE)}),
    ("metaspace", {"pre_tokenizer": sequence(split("an", "Isolated"), {**METASPACE, "prepend_scheme": "first"})}),
    ("metaspace", {"pre_tokenizer": sequence(split("T", "Removed"), {**METASPACE, "prepend_scheme": "first"})}),
]


def patched(value, patch):
    if not isinstance(patch, dict):
        return patch
    out = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            out.pop(key, None)
        else:
            out[key] = patched(out.get(key), change)
    return out


def library_ids(file, given):
    """Of the whole texts: what a caller saved about batches is no part of the layout."""
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in given]


def hone_ids(program, file, given):
    done = subprocess.run([program, str(file)], input=json.dumps(given), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{file}: {done.stderr}")
    return json.loads(done.stdout)


def compare(program, name, layout, given, folder):
    file = folder / (name.replace(" ", "_") + ".json")
    file.write_text(json.dumps(layout))
    wanted, got = library_ids(file, given), hone_ids(program, file, given)
    wrong = [i for i, (a, b) in enumerate(zip(wanted, got)) if a != b]
    print(f"{name}: {len(wrong)} of {len(given)} texts differ, {sum(map(len, wanted))} ids")
    for i in wrong[:3]:
        print(f"  {ascii(given[i])}\n    library {wanted[i]}\n    hone    {got[i]}")
    return wanted, len(wrong)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--texts", type=int, default=6000, help="over the five layouts; half as many over variants")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--golden", type=pathlib.Path)
    options = arguments.parse_args()
    cases = [(name, {}) for name in LAYOUTS] + VARIANTS
    each = [options.texts // len(LAYOUTS)] * len(LAYOUTS) + [options.texts // 2 // len(VARIANTS)] * len(VARIANTS)
    golden, total, shared = [], 0, [*PROSE]
    with tempfile.TemporaryDirectory() as folder:
        for number, ((base, patch), count) in enumerate(zip(cases, each)):
            layout = patched(json.loads((DATA / (base + ".json")).read_text()), patch)
            added = [token["content"] for token in layout["added_tokens"]]
            given = texts(count, options.seed + 1000 * number, added)
            name = base if not patch else f"{base} variant {number}"
            ids, wrong = compare(options.program, name, layout, given, pathlib.Path(folder))
            total += wrong
            chosen = [i for i, text in enumerate(given) if text not in shared and len(text) < 60]
            chosen = chosen[:len(added) + 6] + chosen[-(60 if not patch else 12):]
            golden.append({"base": base, "patch": patch, "texts": [given[i] for i in chosen],
                           "ids": [ids[i] for i in chosen]})
            if not patch:
                golden[-1]["texts"] += PROSE
                golden[-1]["ids"] += [ids[given.index(text)] for text in PROSE]
    print(f"{total} differences")
    if options.golden:
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in golden)
        options.golden.write_text(f"[{lines}]\n")
    return total != 0


raise SystemExit(main())
