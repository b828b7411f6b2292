"""Encoders: texts to vectors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from remuda import _core
from remuda._backends import kind_of, tell
from remuda._closing import Holding
from remuda._providers import installed


class Embedder(Holding[_core.Embedder]):
    """An encoder from a GGUF file, or from the bytes of one: texts to vectors of length 1.

    >>> embedder = remuda.Embedder("all-MiniLM-L6-v2.gguf")  # doctest: +SKIP
    >>> vectors = numpy.asarray(embedder.embed(["a cat", "a dog"]))  # doctest: +SKIP
    """

    _name = "model"

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        backends: Sequence[str] = ("auto",),
        *,
        threads: int | None = None,
    ) -> None:
        names = [kind_of(name) for name in backends]
        runtime = _core.Runtime(names, threads, packages=installed())
        self._core = _core.Embedder(runtime, model)
        tell(self._core.placement_warnings())

    @property
    def info(self) -> dict[str, Any]:
        """What the model is."""
        return self._open().info()

    def last_receipt(self) -> dict[str, Any] | None:
        """What the run that ended last did: who ran what, what failed, what was copied."""
        return self._open().last_receipt()

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text, with those that the model wants around it."""
        return self._open().tokenize(text)

    def embed(self, texts: str | Sequence[str] | Sequence[Sequence[int]]) -> _core.Tensor:
        """The vectors of texts, or of lists of tokens: one row each."""
        several = [texts] if isinstance(texts, str) else texts
        tokens = [self.tokenize(one) if isinstance(one, str) else list(one) for one in several]
        return self._open().embed(tokens)
