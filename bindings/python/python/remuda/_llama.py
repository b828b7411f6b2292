"""A class in the shape of llama-cpp-python's `Llama`: answers are dicts as OpenAI's interface has them."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from remuda import _core
from remuda._closing import Closing
from remuda._errors import UnsupportedError
from remuda._language import Model, asked

Pieces = Iterator[tuple[str, int | None, float | None, list[tuple[int, float]] | None]]


class Llama(Closing):
    """A language model behind llama-cpp-python's interface.

    `n_ctx=0` takes as much context as the model was made for and memory has room for.

    >>> llm = remuda.Llama("model.gguf")  # doctest: +SKIP
    >>> llm("Once upon a time", max_tokens=32)["choices"][0]["text"]  # doctest: +SKIP
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        *,
        n_ctx: int = 0,
        n_batch: int = 512,
        n_threads: int | None = None,
        n_gpu_layers: int | str = "auto",
        seed: int | None = None,
        verbose: bool = False,
        lora_path: str | os.PathLike[str] | None = None,
        lora_scale: float = 1.0,
        backends: Sequence[str] = ("auto",),
    ) -> None:
        if n_gpu_layers not in ("auto", 0, -1):
            raise UnsupportedError("layers go where they cost least: expected n_gpu_layers='auto'")
        names = ("cpu",) if n_gpu_layers == 0 else backends
        self.model_path = str(model_path)
        self.verbose = verbose
        self._seed = seed
        lora = () if lora_path is None else (lora_path, lora_scale)
        self._model = Model(
            model_path, names, n_ctx or None, n_batch=n_batch, lora=lora, threads=n_threads
        )

    def n_ctx(self) -> int:
        """Positions of a sequence."""
        return int(self._model.info["context"])

    def n_vocab(self) -> int:
        """Entries of the vocabulary."""
        return int(self._model.info["vocabulary"])

    def tokenize(self, text: bytes | str, add_bos: bool = True, special: bool = False) -> list[int]:
        """The tokens of a text."""
        plain = text.decode(errors="replace") if isinstance(text, bytes) else text
        return self._model.tokenize(plain, add_special_tokens=add_bos, parse_special_tokens=special)

    def detokenize(self, tokens: Sequence[int], special: bool = False) -> bytes:
        """The bytes of tokens."""
        return self._model._open().detokenize(list(tokens), special)

    def create_completion(
        self,
        prompt: str | Sequence[int],
        *,
        suffix: str | None = None,
        max_tokens: int | None = 16,
        echo: bool = False,
        logprobs: int | None = None,
        stream: bool = False,
        model: str | None = None,
        **options: Any,
    ) -> Any:
        """Goes on from a text: a dict, or with `stream` an iterator of dicts."""
        if suffix is not None:
            raise UnsupportedError("texts cannot be filled in: expected no suffix")
        tokens = self._model._tokens(prompt)
        options |= {
            "max_tokens": max_tokens if (max_tokens or 0) > 0 else None,
            "logprobs": logprobs,
        }
        answer = self._model._open().answer(tokens, self._asked(options))
        head = self._head("text_completion", "cmpl", model)
        shown = ""
        if echo:
            shown = prompt if isinstance(prompt, str) else self._model.detokenize(tokens)
        if stream:
            return self._completion_chunks(answer, head, shown)
        text, listed = self._collect(answer, logprobs)
        choice = {"text": shown + text, "index": 0, "logprobs": listed, **_finish(answer)}
        return {**head, "choices": [choice], "usage": _usage(answer)}

    def __call__(self, prompt: str | Sequence[int], **options: Any) -> Any:
        """The same as `create_completion`."""
        return self.create_completion(prompt, **options)

    def create_chat_completion(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Any] | None = None,
        max_tokens: int | None = None,
        response_format: Mapping[str, Any] | None = None,
        stream: bool = False,
        model: str | None = None,
        **options: Any,
    ) -> Any:
        """Answers a conversation: a dict, or with `stream` an iterator of dicts."""
        if response_format is not None and response_format.get("type") == "json_object":
            schema = response_format.get("schema")
            options |= {"json": True} if schema is None else {"json_schema": schema}
        options |= {"max_tokens": max_tokens if (max_tokens or 0) > 0 else None}
        started = self._model.chat_stream(messages, tools=tools, **self._asked(options))
        answer = started._answer
        if stream:
            return self._chat_chunks(answer, self._head("chat.completion.chunk", "chatcmpl", model))
        text, _ = self._collect(answer, None)
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "logprobs": None, **_finish(answer)}
        head = self._head("chat.completion", "chatcmpl", model)
        return {**head, "choices": [choice], "usage": _usage(answer)}

    def _asked(self, options: dict[str, Any]) -> dict[str, Any]:
        if self._seed is not None:
            options.setdefault("seed", self._seed)
        return asked(options)

    def _head(self, kind: str, prefix: str, model: str | None) -> dict[str, Any]:
        name = model or self.model_path
        created = int(time.time())
        return {"id": f"{prefix}-{uuid.uuid4()}", "object": kind, "created": created, "model": name}

    def _collect(
        self, answer: _core.Answer, logprobs: int | None
    ) -> tuple[str, dict[str, Any] | None]:
        pieces = list(answer)
        text = "".join(piece[0] for piece in pieces)
        return text, None if logprobs is None else self._logprobs(pieces)

    def _logprobs(self, pieces: Sequence[Any]) -> dict[str, Any]:
        def shown(token: int) -> str:
            return self._model.detokenize([token], special=True)

        def top(likeliest: Sequence[tuple[int, float]]) -> dict[str, float]:
            # Different tokens may be shown alike: the likelier one is kept.
            return {shown(token): logprob for token, logprob in reversed(likeliest)}

        known = [piece for piece in pieces if piece[1] is not None]
        offsets, at = [], 0
        for piece in known:
            offsets.append(at)
            at += len(piece[0])
        return {
            "tokens": [shown(piece[1]) for piece in known],
            "token_logprobs": [piece[2] for piece in known],
            "top_logprobs": [top(piece[3]) for piece in known],
            "text_offset": offsets,
        }

    def _completion_chunks(
        self, answer: Pieces, head: dict[str, Any], shown: str
    ) -> Iterator[dict[str, Any]]:
        def chunk(text: str, finish: dict[str, Any]) -> dict[str, Any]:
            choice = {"text": text, "index": 0, "logprobs": None, **finish}
            return {**head, "choices": [choice]}

        if shown:
            yield chunk(shown, {"finish_reason": None})
        for piece in answer:
            if piece[0]:
                yield chunk(piece[0], {"finish_reason": None})
        yield chunk("", _finish(answer))

    def _chat_chunks(self, answer: Pieces, head: dict[str, Any]) -> Iterator[dict[str, Any]]:
        def chunk(delta: dict[str, Any], finish: dict[str, Any]) -> dict[str, Any]:
            return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, **finish}]}

        yield chunk({"role": "assistant"}, {"finish_reason": None})
        for piece in answer:
            if piece[0]:
                yield chunk({"content": piece[0]}, {"finish_reason": None})
        yield chunk({}, _finish(answer))

    def close(self) -> None:
        """Frees the memory; more than once does no harm."""
        self._model.close()


def _finish(answer: Any) -> dict[str, Any]:
    outcome = answer.outcome()
    return {"finish_reason": None if outcome is None else outcome["finish_reason"]}


def _usage(answer: _core.Answer) -> dict[str, int]:
    outcome = answer.outcome() or {"prompt_tokens": 0, "completion_tokens": 0}
    prompt, completion = outcome["prompt_tokens"], outcome["completion_tokens"]
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
