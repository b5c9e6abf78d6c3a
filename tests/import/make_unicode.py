#!/usr/bin/env python3
"""Writes what the library `tokenizers` 0.23 makes of every Unicode scalar value, as tests/golden/tokenizers/unicode.json:
the classes of its expressions, the words of its added tokens, its digits, and hashes of its normal forms. Run by hand
with the library at hand: make_unicode.py > FILE"""
import hashlib
import json

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def matched(expression):
    """The scalar values that the expression matches. One above all planes is no character, so zero stands aside."""
    replace = normalizers.Replace(Regex(expression), "\0")
    hits = set()
    for begin in range(1, len(SCALARS), 4096):
        part = SCALARS[begin:begin + 4096]
        out = replace.normalize_str("".join(map(chr, part)))
        assert len(out) == len(part)
        hits.update(c for c, o in zip(part, out) if o == "\0")
    return hits


def words():
    tokenizer = Tokenizer(models.BPE(vocab={"x": 0}, merges=[], unk_token="x"))
    tokenizer.add_tokens([AddedToken("word", single_word=True, normalized=False)])
    return {c for c in SCALARS if 1 not in tokenizer.encode(chr(c) + "word").ids}


def digits():
    step = pre_tokenizers.Digits(individual_digits=True)
    return {c for c in SCALARS if len(step.pre_tokenize_str("a" + chr(c) + "a")) == 3}


def ranges(members):
    out = []
    for c in sorted(members):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def main():
    sets = {"letter": matched(r"\p{L}"), "number": matched(r"\p{N}"), "blank": matched(r"\s"), "word": words(),
            "digit": digits()}
    out = {name: ranges(members) for name, members in sets.items()}
    text = "".join(chr(c) + "\n" + "a\u0301" + chr(c) + "\u0323\n" for c in SCALARS)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        normal = getattr(normalizers, form)().normalize_str(text)
        out[form] = hashlib.sha256(normal.encode()).hexdigest()
    print(json.dumps(out, separators=(",", ":")))


main()
