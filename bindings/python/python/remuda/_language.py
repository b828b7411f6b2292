"""Language models: texts and tokens in, texts and tokens out."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from remuda import _core
from remuda._errors import InputError


class Model:
    """A language model from a GGUF file, or from the bytes of one.

    `n_ctx` is the number of positions of a sequence (None: as many as the model was made for and memory has room
    for), `n_seq` how many sequences may generate at once, `cache_type` how keys and values are cached. Many threads
    may ask one model.

    >>> model = remuda.Model("model.gguf")  # doctest: +SKIP
    >>> model.generate("Once upon a time", max_tokens=32)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        backends: Sequence[str] = ("auto",),
        n_ctx: int | None = None,
        *,
        n_seq: int = 1,
        n_batch: int = 512,
        cache_type: str = "f16",
        threads: int | None = None,
    ) -> None:
        runtime = _core.Runtime(list(backends), threads)
        self._core: _core.LanguageModel | None = _core.LanguageModel(
            runtime, model, n_ctx, n_seq, n_batch, cache_type
        )

    def _open(self) -> _core.LanguageModel:
        if self._core is None:
            raise InputError("the model is closed")
        return self._core

    @property
    def info(self) -> dict[str, Any]:
        """What the model is, and the memory that it takes."""
        return self._open().info()

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a prompt, with those that the model wants around it."""
        return self._open().tokenize(text)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""
        return self._open().detokenize(list(tokens))

    def stream(
        self,
        prompt: str,
        max_tokens: int | None = None,
        *,
        temperature: float = 0.8,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Goes on from a text, piece by piece."""
        chosen = secrets.randbits(64) if seed is None else seed
        return self._open().answer(prompt, max_tokens, temperature, chosen)

    def generate(
        self,
        prompt: str,
        max_tokens: int | None = None,
        *,
        temperature: float = 0.8,
        seed: int | None = None,
    ) -> str:
        """Goes on from a text."""
        return "".join(self.stream(prompt, max_tokens, temperature=temperature, seed=seed))

    def _tokens(self, prompt: str | Sequence[int]) -> list[int]:
        return self.tokenize(prompt) if isinstance(prompt, str) else list(prompt)

    def logits(self, prompt: str | Sequence[int]) -> _core.Tensor:
        """The logits behind each token, one row per token."""
        return self._open().logits(self._tokens(prompt))

    def logprobs(self, prompt: str | Sequence[int]) -> list[float]:
        """The logarithm of the probability of each token but the first."""
        return self._open().log_probabilities(self._tokens(prompt))

    def perplexity(self, prompt: str | Sequence[int]) -> float:
        """How surprising a text is that fits into the context."""
        found = self.logprobs(prompt)
        if not found:
            raise InputError("a perplexity needs at least 2 tokens")
        return math.exp(-sum(found) / len(found))

    def close(self) -> None:
        """Frees the memory; more than once does no harm."""
        self._core = None

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
