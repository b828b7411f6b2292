"""Chat templates, called as transformers calls them."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Sequence
from typing import Any

from remuda import _core


class ChatTemplate:
    """A conversation to the text that a model was trained on.

    >>> template = ChatTemplate("{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}")
    >>> template.apply([{"role": "user", "content": "Hello"}])
    'user: Hello'
    """

    def __init__(self, source: str, *, bos_token: str = "", eos_token: str = "") -> None:
        self._core = _core.ChatTemplate(source, bos_token=bos_token, eos_token=eos_token)

    @classmethod
    def from_gguf(cls, path: str | os.PathLike[str]) -> ChatTemplate | None:
        """The template of a GGUF file, or None if it has none."""
        core = _core.ChatTemplate.from_gguf(path)
        if core is None:
            return None
        made = cls.__new__(cls)
        made._core = core
        return made

    def apply(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        tools: Sequence[Any] | None = None,
        documents: Sequence[dict[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        now: datetime.datetime | None = None,
        **variables: Any,
    ) -> str:
        """The text of a conversation; further arguments are variables of the template."""
        conversation = {
            "messages": list(messages),
            "tools": None if tools is None else list(tools),
            "documents": None if documents is None else list(documents),
            "add_generation_prompt": add_generation_prompt,
            "extra": variables,
        }
        seconds = None if now is None else int(now.timestamp())
        return self._core.render_json(json.dumps(conversation), seconds)

    def problems(self) -> list[str]:
        """What is wrong with the template, tried on small conversations."""
        return self._core.problems()

    @property
    def source(self) -> str:
        """The template as it came."""
        return self._core.source
