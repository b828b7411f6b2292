"""What files of small models say about text."""

from __future__ import annotations

import gguf

from . import models


def describe_text(writer: gguf.GGUFWriter) -> None:
    """Adds a vocabulary of all bytes, letters and pairs of letters, and a chat template."""
    singles = ["\u2581", *'abcdefghij{}":,0123456789xyz.']
    pairs = ["\u2581a", "ab", "ba", "cab", "\u2581ab", "\u2581ba"]
    named = ["<unk>", "<s>", "</s>", *singles, *pairs]
    tokens = named + [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += [f"<extra{at}>" for at in range(models.VOCABULARY - len(tokens))]
    kinds = [2, 3, 3] + [1] * (len(named) - 3) + [6] * 256
    kinds += [5] * (models.VOCABULARY - len(kinds))
    writer.add_string("tokenizer.ggml.model", "llama")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_scores([-float(at) for at in range(len(tokens))])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(
        "{{ bos_token }}{% for message in messages %}{{ message.content }}</s>{% endfor %}"
    )
