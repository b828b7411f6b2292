"""Random texts encode as in HuggingFace `tokenizers`, built from the same vocabularies.

The vocabularies are those that llama.cpp tests with; `gguf`, the reader of its authors, reads them
here. What a `tokenizer.json` of each family would say is written below, part by part.
"""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
import remuda
import vocabularies
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)

COUNT = 10_000
ANY_CASE = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = (
    ANY_CASE
    + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = (
    ANY_CASE + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN35 = (
    ANY_CASE
    + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class File:
    """What a GGUF file says of its tokenizer."""

    def __init__(self, name: str) -> None:
        self.path = vocabularies.fetch() / f"ggml-vocab-{name}.gguf"
        self.reader = gguf.GGUFReader(self.path)
        self.tokens: list[str] = self.get("tokens")
        self.kinds: list[int] = self.get("token_type")

    def get(self, key: str) -> Any:
        field = self.reader.get_field(f"tokenizer.ggml.{key}")
        return None if field is None else field.contents()

    def vocab(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    def merges(self) -> list[tuple[str, str]]:
        pairs = [merge.split(" ", 1) if merge[0] != " " else None for merge in self.get("merges")]
        vocab = self.vocab()
        known = [(a, b) for a, b in filter(None, pairs)]
        assert len(known) == len(pairs)
        return [(a, b) for a, b in known if a in vocab and b in vocab and a + b in vocab]

    def user_defined(self) -> list[str]:
        return [token for token, kind in zip(self.tokens, self.kinds, strict=True) if kind == 4]


def split(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level(
    file: File, *before: pre_tokenizers.PreTokenizer, regex: bool = False, whole: bool = False
) -> Tokenizer:
    model = models.BPE(file.vocab(), file.merges(), ignore_merges=whole)
    made = Tokenizer(model)
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)
    made.pre_tokenizer = pre_tokenizers.Sequence([*before, last])
    made.add_tokens(file.user_defined())
    return made


def sentence_piece(file: File) -> Tokenizer:
    vocab, scores = file.vocab(), file.get("scores")
    merges = []
    for token, index in vocab.items():
        for at in range(1, len(token)):
            left, right = token[:at], token[at:]
            if left in vocab and right in vocab and file.kinds[index] == 1:
                merges.append((-scores[index], vocab[left], vocab[right], left, right))
    merges.sort()
    pairs = [(left, right) for *_, left, right in merges]
    made = Tokenizer(models.BPE(vocab, pairs, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    return made


def word_piece(file: File) -> Tokenizer:
    kinds = zip(file.tokens, file.kinds, strict=True)
    special = {token for token, kind in kinds if kind == 3}
    vocab = {}
    for index, token in enumerate(file.tokens):
        plain = (
            token[1:] if token.startswith("\u2581") else token if token in special else "##" + token
        )
        vocab[plain] = index
    made = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


def unigram(file: File) -> Tokenizer:
    # Control tokens are never found in plain text, so here they have a text that does not occur.
    names = (
        "\0" + token if kind == 3 else token
        for token, kind in zip(file.tokens, file.kinds, strict=True)
    )
    pieces = list(zip(names, map(float, file.get("scores")), strict=True))
    made = Tokenizer(models.Unigram(pieces, unk_id=file.get("unknown_token_id")))
    charsmap = bytes(byte & 0xFF for byte in file.get("precompiled_charsmap"))
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    made.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), spaces])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    return made


DIGITS = pre_tokenizers.Digits(individual_digits=True)
FAMILIES: dict[str, Callable[[File], Tokenizer]] = {
    "llama-bpe": lambda file: byte_level(file, split(LLAMA3), whole=True),
    "qwen2": lambda file: byte_level(file, split(QWEN2)),
    "qwen35": lambda file: byte_level(file, split(QWEN35)),
    "gpt-2": lambda file: byte_level(file, regex=True),
    "mpt": lambda file: byte_level(file, regex=True),
    "starcoder": lambda file: byte_level(file, DIGITS, regex=True),
    "refact": lambda file: byte_level(file, DIGITS, regex=True),
    "command-r": lambda file: byte_level(file, DIGITS, regex=True),
    "llama-spm": sentence_piece,
    "bert-bge": word_piece,
    "nomic-bert-moe": unigram,
}

SCRIPTS = [(0x20, 0x7E), (0xA1, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA), (0x620, 0x64A),
           (0x900, 0x97F), (0xE00, 0xE4E), (0x1780, 0x17D2), (0x3041, 0x3096), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3),
           (0x1F300, 0x1F64F), (0x2000, 0x206F), (0x300, 0x36F)]  # fmt: skip
WORDS = ["the", "Hello", "it's", "I'LL", "we've", "2024", "3.14", "fn main()", "http://a.b/c?d=e", "don't",
         "  ", "\n", "\r\n", "\t", "\n\n", "   \n ", "\u00a0", "\u3000", "...", "!?", "_x_", "--",
         "1234567", "\u2581", "<s>"]  # fmt: skip


def texts(count: int) -> list[str]:
    """Words, and runs of characters of a few scripts, with spaces of all kinds between them."""
    source = random.Random(7)

    def run() -> str:
        if source.random() < 0.5:
            return source.choice(WORDS)
        low, high = source.choice(SCRIPTS)
        drawn = (chr(source.randint(low, high)) for _ in range(source.randint(1, 6)))
        return "".join(c for c in drawn if unicodedata.category(c) not in ("Cn", "Cs"))

    def text() -> str:
        separators = ("", " ", " ", "  ", "\n")
        return "".join(run() + source.choice(separators) for _ in range(source.randint(1, 9)))

    return [text() for _ in range(count)]


TEXTS = texts(COUNT)


def has_marks(text: str) -> bool:
    """Whether characters combine.

    Where one of them is replaced, `tokenizers` loses the marks behind it, since it replaces whole graphemes by what
    their first character stands for. SentencePiece does not, nor does llama.cpp.
    """
    return any(unicodedata.category(character).startswith("M") for character in text)


@pytest.mark.parametrize("name", FAMILIES)
def test_random_texts_encode_as_in_tokenizers(name: str) -> None:
    file = File(name)
    ours = remuda.Tokenizer(file.path)
    compared = [text for text in TEXTS if name != "nomic-bert-moe" or not has_marks(text)]
    got = ours.encode_batch(compared, add_special_tokens=False, parse_special_tokens=False)
    expected = [
        encoding.ids
        for encoding in FAMILIES[name](file).encode_batch(compared, add_special_tokens=False)
    ]
    wrong = [(text, a, b) for text, a, b in zip(compared, got, expected, strict=True) if a != b]
    shown = "\n".join(f"{text!r}\n  {a}\n  {b}" for text, a, b in wrong[:5])
    assert not wrong, f"{len(wrong)} of {len(compared)} differ:\n{shown}"


@pytest.mark.parametrize("name", ["llama-bpe", "qwen2", "gpt-2", "command-r", "llama-spm"])
def test_decoding_gives_the_text_back(name: str) -> None:
    tokenizer = remuda.Tokenizer(vocabularies.fetch() / f"ggml-vocab-{name}.gguf")
    for text in TEXTS[:2000]:
        tokens = tokenizer.encode(text, add_special_tokens=False, parse_special_tokens=False)
        pieces = b"".join(tokenizer.piece(token) for token in tokens)
        given = text.replace("\u2581", " ") if name == "llama-spm" else text
        assert pieces.removeprefix(b" " if name == "llama-spm" else b"").decode() == given


@pytest.mark.parametrize("name", ["llama-bpe", "bert-bge", "llama-spm"])
def test_a_tokenizer_json_encodes_as_its_library(name: str, tmp_path: Path) -> None:
    reference = FAMILIES[name](File(name))
    if name != "bert-bge":
        steps = [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
        reference.decoder = (
            decoders.ByteLevel() if name == "llama-bpe" else decoders.Sequence(steps)
        )
    else:
        reference.decoder = decoders.WordPiece()
    reference.add_special_tokens(["<|end|>"])
    path = tmp_path / "tokenizer.json"
    path.write_text(reference.to_str(), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": {"content": "<|end|>"}})
    )
    for tokenizer in (remuda.Tokenizer(path), remuda.Tokenizer(tmp_path)):
        assert reference.token_to_id("<|end|>") in tokenizer.end_tokens
        given = [text + "<|end|>" for text in TEXTS[:300]]
        expected = [encoding.ids for encoding in reference.encode_batch(given)]
        assert tokenizer.encode_batch(given) == expected
        assert [tokenizer.decode(ids) for ids in expected] == reference.decode_batch(expected)
        plain = tokenizer.encode("a<|end|>", parse_special_tokens=False)
        assert reference.token_to_id("<|end|>") not in plain


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"model": {"type": "BPE", "vocab": {}, "merges": ["a b"]}}']
)
def test_a_broken_tokenizer_json_is_an_error(content: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(remuda.Error):
        remuda.Tokenizer(path)
