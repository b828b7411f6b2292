"""Language models: texts, conversations and tokens in, texts and tokens out."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from remuda import _core
from remuda._backends import kind_of, tell
from remuda._closing import Closing, Holding
from remuda._providers import installed

Prompt = str | Sequence[int]
Message = Mapping[str, Any]
Adapter = str | os.PathLike[str] | tuple[str | os.PathLike[str], float]


def adapters(lora: Adapter | Sequence[Adapter]) -> list[tuple[str | os.PathLike[str], float]]:
    """Adapters and their scales, however they were named."""
    if isinstance(lora, (str, os.PathLike)):
        return [(lora, 1.0)]
    if isinstance(lora, tuple) and len(lora) == 2 and isinstance(lora[1], (int, float)):
        return [(lora[0], float(lora[1]))]
    return [pair for one in lora for pair in adapters(one)]


def asked(options: dict[str, Any]) -> dict[str, Any]:
    """Options as the core wants them: schemas as text, a seed that was not given made up."""
    made = {name: value for name, value in options.items() if value is not None}
    schema = made.get("json_schema")
    if schema is not None and not isinstance(schema, str):
        made["json_schema"] = json.dumps(schema)
    made.setdefault("seed", secrets.randbits(64))
    return made


class Stream(Closing):
    """An answer as it comes: an iterator, and an async iterator, over pieces of text.

    `usage` and `finish_reason` say what it came to, once it has ended. Leaving a `with` block, or `close()`, ends it.
    """

    def __init__(self, answer: _core.Answer) -> None:
        self._answer = answer
        self._closed = False

    def _next(self) -> str | None:
        while not self._closed:
            try:
                text = next(self._answer)[0]
            except StopIteration:
                return None
            if text:
                return text
        return None

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> str:
        text = self._next()
        if text is None:
            raise StopIteration
        return text

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> str:
        try:
            text = await asyncio.to_thread(self._next)
        except asyncio.CancelledError:
            self._answer.cancel()
            raise
        if text is None:
            raise StopAsyncIteration
        return text

    def close(self) -> None:
        """Ends the answer; more than once does no harm."""
        self._closed = True
        self._answer.cancel()

    @property
    def usage(self) -> dict[str, Any] | None:
        """Tokens, times, and the devices that failed meanwhile, once the answer has ended."""
        return self._answer.outcome()

    @property
    def finish_reason(self) -> str | None:
        """`stop`, `length` or `cancelled`, once the answer has ended."""
        outcome = self._answer.outcome()
        return None if outcome is None else str(outcome["finish_reason"])


class Model(Holding[_core.LanguageModel]):
    """A language model from a GGUF file, or from the bytes of one.

    `n_ctx` is the number of positions of a sequence (None: as many as the model was made for and memory has room
    for), `n_seq` how many sequences may generate at once, `cache_type` how keys and values are cached. With
    `lookup` tokens that are likely to follow, because they did before, are run along; with `draft_model`, a smaller
    model with the same vocabulary, those that it guesses. `lora` names LoRA adapters in GGUF files: one, or several,
    each alone or with what it is scaled with. With `deterministic` a seed gives the same answer whatever else runs, on
    any number of threads; without `repack` no copy of the weights is made, and runs take longer. `pins` names nodes
    that must run on a backend, and which; `placement()` tells their names. Many threads may ask one model.

    What is asked can say more of the answer: `max_tokens`, `stop` (a text or several), `seed`, `priority`;
    how tokens are chosen, by llama.cpp's names and defaults: `temperature`, `top_k`, `top_p`, `min_p`, `typical_p`,
    `top_n_sigma`, `xtc_probability`, `xtc_threshold`, `dynatemp_range`, `repeat_penalty`, `repeat_last_n`,
    `frequency_penalty`, `presence_penalty`, `dry_multiplier`, `mirostat`, `samplers`, `logit_bias` and so on;
    and one constraint: `json=True`, `json_schema`, `regex`, `grammar` (GBNF) or `lark`.

    >>> model = remuda.Model("model.gguf")  # doctest: +SKIP
    >>> model.generate("Once upon a time", max_tokens=32)  # doctest: +SKIP
    >>> model.chat([{"role": "user", "content": "Hello"}])  # doctest: +SKIP
    """

    _name = "model"

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        backends: Sequence[str] = ("auto",),
        n_ctx: int | None = None,
        *,
        n_seq: int = 1,
        n_batch: int = 512,
        cache_type: str = "f16",
        lookup: bool = False,
        draft_model: str | os.PathLike[str] | None = None,
        lora: Adapter | Sequence[Adapter] = (),
        deterministic: bool = False,
        repack: bool = True,
        threads: int | None = None,
        pins: Mapping[str, str] | None = None,
    ) -> None:
        names = [kind_of(name) for name in backends]
        runtime = _core.Runtime(
            names, threads, packages=installed(), repack=repack, pins=dict(pins or {})
        )
        self._core = _core.LanguageModel(
            runtime,
            model,
            n_ctx,
            n_seq,
            n_batch,
            cache_type,
            lookup,
            adapters(lora),
            draft_model,
            deterministic,
        )
        tell(self._core.placement_warnings())

    @property
    def info(self) -> dict[str, Any]:
        """What the model is, and the memory that it takes."""
        return self._open().info()

    def placement(self) -> dict[str, Any]:
        """Who runs which node, what that costs, and why nobody else does; `class` is the sort of step of a part."""
        return self._open().placement()

    def last_receipt(self) -> dict[str, Any] | None:
        """What the step that ended last did: who ran what, what was copied."""
        return self._open().last_receipt()

    @property
    def failovers(self) -> list[dict[str, Any]]:
        """The devices that failed since the model was loaded: which, how, in which step, who went on.

        `Stream.usage["failovers"]` has those that failed during one answer.
        """
        return self._open().failovers()

    @property
    def draft_lost(self) -> str | None:
        """Why the draft model was given up, if it was: answers go on without its guesses."""
        return self._open().draft_lost()

    @property
    def chat_template(self) -> str | None:
        """The source of the model's chat template, if it has one."""
        return self._open().template()

    def tokenize(
        self, text: str, *, add_special_tokens: bool = True, parse_special_tokens: bool = True
    ) -> list[int]:
        """The tokens of a prompt, with those that the model wants around it."""
        return self._open().tokenize(text, add_special_tokens, parse_special_tokens)

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """The text of tokens; with `special`, marks are shown by their texts."""
        return self._open().detokenize(list(tokens), special).decode(errors="replace")

    def stream(self, prompt: Prompt, max_tokens: int | None = None, **options: Any) -> Stream:
        """Goes on from a text or tokens, piece by piece."""
        options["max_tokens"] = max_tokens
        return Stream(self._open().answer(self._tokens(prompt), asked(options)))

    def generate(self, prompt: Prompt, max_tokens: int | None = None, **options: Any) -> str:
        """Goes on from a text or tokens."""
        return "".join(self.stream(prompt, max_tokens, **options))

    def chat_stream(
        self,
        messages: Iterable[Message],
        max_tokens: int | None = None,
        *,
        tools: Sequence[Any] | None = None,
        template_variables: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Stream:
        """Answers a conversation, piece by piece."""
        options["max_tokens"] = max_tokens
        conversation = {
            "messages": [dict(message) for message in messages],
            "tools": None if tools is None else list(tools),
            "add_generation_prompt": True,
            "extra": dict(template_variables or {}),
        }
        return Stream(self._open().chat(json.dumps(conversation), asked(options)))

    def chat(
        self, messages: Iterable[Message], max_tokens: int | None = None, **options: Any
    ) -> str:
        """Answers a conversation."""
        return "".join(self.chat_stream(messages, max_tokens, **options))

    def _tokens(self, prompt: Prompt) -> list[int]:
        return self.tokenize(prompt) if isinstance(prompt, str) else list(prompt)

    def logits(self, prompt: Prompt) -> _core.Tensor:
        """The logits behind each token, one row per token."""
        return self._open().logits(self._tokens(prompt))

    def answer_logits(self, prompt: Prompt, answer: Sequence[int]) -> _core.Tensor:
        """The logits behind a prompt and behind each token of an answer to it, one row each."""
        return self._open().answer_logits(self._tokens(prompt), list(answer))

    def logprobs(self, prompt: Prompt) -> list[float]:
        """The logarithm of the probability of each token but the first."""
        return self._open().log_probabilities(self._tokens(prompt))

    def perplexity(self, prompt: Prompt, window: int = 512) -> float:
        """How surprising a text is, as llama.cpp measures it: the second half of each window is scored."""
        window = min(window, self.info["context"])
        return self._open().perplexity(self._tokens(prompt), window)[0]
