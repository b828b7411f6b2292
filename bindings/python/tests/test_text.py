"""Tokenizers and chat templates from Python."""

from __future__ import annotations

import datetime
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import remuda

BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}
END = {
    "id": 4,
    "content": "<end>",
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "special": True,
}
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [END],
    "normalizer": None,
    "pre_tokenizer": BYTE_LEVEL,
    "post_processor": None,
    "decoder": BYTE_LEVEL,
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "\u0120": 3}, "merges": ["a b"]},
}


@pytest.fixture
def tokenizer(tmp_path: Path) -> remuda.Tokenizer:
    (tmp_path / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>"}))
    return remuda.Tokenizer(tmp_path)


def test_a_text_becomes_tokens_and_a_text_again(tokenizer: remuda.Tokenizer) -> None:
    assert tokenizer.encode("ab ba<end>") == [2, 3, 1, 0, 4]
    assert tokenizer.decode([2, 3, 1, 0, 4]) == "ab ba"
    assert tokenizer.encode_batch(["a", ""]) == [[0], []]
    assert (tokenizer.vocab_size, len(tokenizer), tokenizer.end_tokens) == (5, 5, [4])
    assert (tokenizer.piece(3), tokenizer.id_to_token(3), tokenizer.token_to_id("ab")) == (
        b" ",
        "\u0120",
        2,
    )
    with pytest.raises(remuda.InputError, match="there is no token 5"):
        tokenizer.piece(5)


def test_threads_share_a_tokenizer(tokenizer: remuda.Tokenizer) -> None:
    texts = ["ab" * count + " a" for count in range(64)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tokenizer.encode, texts)) == tokenizer.encode_batch(texts)


def test_a_missing_tokenizer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(remuda.ResourceError, match=r"tokenizer\.json"):
        remuda.Tokenizer(tmp_path)


def test_a_template_renders_a_conversation() -> None:
    source = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{{ style }}"
    template = remuda.ChatTemplate(source + "{{ strftime_now('%Y') }}", bos_token="<s>")
    now = datetime.datetime(2001, 2, 3, tzinfo=datetime.UTC)
    messages = [{"role": "user", "content": "H\u00e4?"}]
    assert template.apply(messages, style=None, now=now) == "<s>user: H\u00e4?\nNone2001"
    assert template.problems() == []


def test_templates_that_are_wrong_or_refuse_raise() -> None:
    with pytest.raises(remuda.ModelFormatError, match="chat template line 1: syntax error"):
        remuda.ChatTemplate("{% if %}")
    refusing = remuda.ChatTemplate("{{ raise_exception('not today') }}")
    with pytest.raises(remuda.Error, match="refuses this conversation: not today"):
        refusing.apply([])
    endless = remuda.ChatTemplate(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    )
    with pytest.raises(remuda.ResourceError, match="stopped after"):
        endless.apply([])
