#!/usr/bin/env python3
"""Trains the five small tokenizers of tests/golden/tokenizers with the library `tokenizers` 0.23, one per layout of
tokenizer.json that checkpoints come with. Run by hand: make_tokenizers.py tests/golden/tokenizers"""
import json
import pathlib
import sys

from fuzz_texts import PROSE
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
BYTES = ["<0x%02X>" % b for b in range(256)]


def plain(content, **settings):
    return AddedToken(content, normalized=False, **settings)


def byte_trainer(size):
    return trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                               special_tokens=["<|endoftext|>"], show_progress=False)


def gpt2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(PROSE * 3, byte_trainer(700))
    return t


def neox():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(PROSE * 3, byte_trainer(600))
    t.add_tokens([plain(" " * n) for n in range(12, 1, -1)])
    t.add_tokens([AddedToken("[e\u0301t]", normalized=True), AddedToken("ôté", normalized=True)])
    t.add_special_tokens(["<|padding|>"])
    return t


def llama3():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(PROSE * 3, byte_trainer(800))
    t.add_special_tokens(["<|begin_of_text|>", "<|eot_id|>"])
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True),
        processors.TemplateProcessing("<|begin_of_text|> $A",
                                      special_tokens=[("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))])])
    return t


def sentence_trainer(size, letters, special):
    return trainers.BpeTrainer(vocab_size=size, limit_alphabet=letters, special_tokens=special, show_progress=False)


def begins_with(t):
    t.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", t.token_to_id("<s>"))])


def llama2():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    words = [word for text in PROSE for word in text.split(" ")]
    t.train_from_iterator(words * 3, sentence_trainer(1000, 120, ["<unk>", "<s>", "</s>", *BYTES]))
    begins_with(t)
    return t


def metaspace():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    t.normalizer = normalizers.NFKC()
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    t.decoder = decoders.Metaspace(prepend_scheme="first")
    t.train_from_iterator(PROSE * 3, sentence_trainer(700, 150, ["<unk>", "<s>", "</s>"]))
    t.add_tokens([plain("<mask>", lstrip=True), plain("<|user|>", rstrip=True),
                  plain("<both>", lstrip=True, rstrip=True), plain("word", single_word=True), plain("wor")])
    begins_with(t)
    return t


def main():
    folder = pathlib.Path(sys.argv[1])
    for make in (gpt2, neox, llama3, llama2, metaspace):
        layout = json.loads(make().to_str())
        if make is llama2:  # published files have the byte tokens in the vocabulary alone
            layout["added_tokens"] = [token for token in layout["added_tokens"] if token["content"] not in BYTES]
        if make is llama3:  # whole pieces that no merges make
            layout["model"]["merges"] = layout["model"]["merges"][:-150] + layout["model"]["merges"][-100:]
            whole = {word for pair in layout["model"]["merges"] for word in (pair[0], pair[1], pair[0] + pair[1])}
            assert whole <= layout["model"]["vocab"].keys()
        (folder / (make.__name__ + ".json")).write_text(json.dumps(layout, ensure_ascii=False) + "\n")


main()
