"""Answers of language models as programs ask for them: pieces, constraints, conversations, many threads."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import remuda

gguf = pytest.importorskip("gguf")

from language import direct  # noqa: E402

QUESTION = [{"role": "user", "content": "ab ba"}]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("answers") / "m.gguf"
    direct.write("llama", path, text=True)
    return path


@pytest.fixture(scope="module")
def model(path: Path) -> Any:
    with remuda.Model(path, cache_type="f32") as model:
        yield model


def test_a_seed_makes_answers_repeatable(model: Any, path: Path) -> None:
    want = model.generate("ab", 16, seed=3)
    assert model.generate("ab", 16, seed=3) == want
    assert remuda.Model(path.read_bytes(), cache_type="f32").generate("ab", 16, seed=3) == want
    assert {model.generate("ab", 16, seed=seed) for seed in range(4)} != {want}


def test_streams_are_iterators_and_async_iterators(model: Any) -> None:
    want = model.generate("ab", 16, seed=3)
    stream = model.stream("ab", 16, seed=3)
    assert "".join(stream) == want
    assert (stream.finish_reason, stream.usage["completion_tokens"]) == ("length", 16)

    async def collect(seed: int) -> str:
        return "".join([piece async for piece in model.stream("ab", 16, seed=seed)])

    async def both() -> list[str]:
        return await asyncio.gather(collect(3), collect(3))

    assert asyncio.run(both()) == [want, want]


def test_a_closed_stream_ends(model: Any) -> None:
    with model.stream("ab", seed=1) as stream:
        next(stream)
    assert list(stream) == []


def test_chats_go_through_the_template(model: Any) -> None:
    assert "message.content" in model.chat_template
    text = "<s>ab ba</s>"
    tokens = model.tokenize(text, add_special_tokens=False)
    assert model.chat(QUESTION, 12, seed=5) == model.generate(tokens, 12, seed=5)


@pytest.mark.parametrize("seed", range(3))
def test_constraints_hold(model: Any, seed: int) -> None:
    assert re.fullmatch(r"[ab]{3,6}", model.generate("a", 40, regex="[ab]{3,6}", seed=seed))
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 0, "maximum": 99},
            "ok": {"type": "boolean"},
        },
        "required": ["n", "ok"],
        "additionalProperties": False,
    }
    answer = json.loads(model.generate("a", 80, json_schema=schema, seed=seed))
    assert sorted(answer) == ["n", "ok"] and 0 <= answer["n"] <= 99
    grammar = 'root ::= "x" [yz]+ "."'
    assert re.match(r"x[yz]+\.?$", model.generate("a", 30, grammar=grammar, seed=seed))


def test_grammars_of_lark_hold_however_a_model_is_asked(model: Any) -> None:
    lark = 'start: WORD ("," WORD){2} "!"\nWORD: /[xyz]{3}/\n'
    asked = {"lark": lark, "seed": 4}
    answers = [
        model.generate("a", 40, **asked),
        "".join(model.stream("a", 40, **asked)),
        model.chat(QUESTION, 40, **asked),
        "".join(model.chat_stream(QUESTION, 40, **asked)),
    ]
    for answer in answers:
        assert re.fullmatch(r"[xyz]{3},[xyz]{3},[xyz]{3}!", answer), answer
    with pytest.raises(remuda.InputError, match=r"Lark grammar: .*word"):
        model.generate("a", 1, lark="start: word")
    for other in ({"grammar": "root ::= [a]"}, {"regex": "a"}, {"json": True}):
        with pytest.raises(remuda.InputError, match=r"expected one of json, .* and lark"):
            model.generate("a", 1, lark=lark, **other)


def test_what_is_asked_wrongly_is_named(model: Any) -> None:
    with pytest.raises(remuda.InputError, match="`top_pp` is not known; did you mean `top_p`"):
        model.generate("a", 1, top_pp=0.5)
    with pytest.raises(remuda.InputError, match="`top_p`: expected a number from 0 to 1, got 2"):
        model.generate("a", 1, top_p=2.0)
    with pytest.raises(remuda.InputError, match="expected one of json"):
        model.generate("a", 1, regex="a", grammar="root ::= [a]")
    with pytest.raises(remuda.InputError, match="regular expression"):
        model.generate("a", 1, regex="(")


def test_many_threads_on_one_model_get_what_each_gets_alone(path: Path) -> None:
    with remuda.Model(path, n_seq=4, cache_type="f32") as model:
        want = [model.generate("ab", 16, seed=seed) for seed in range(16)]
        got: list[str | None] = [None] * 16

        def ask(seed: int) -> None:
            got[seed] = model.generate("ab", 16, seed=seed)

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == want


def test_llama_speaks_the_shape_of_openai(path: Path) -> None:
    llm = remuda.Llama(path, n_ctx=256, seed=7)
    assert (llm.n_ctx(), llm.n_vocab()) == (256, 320)
    done = llm("ab", max_tokens=8, temperature=0.0, logprobs=2, echo=True)
    choice = done["choices"][0]
    assert (done["object"], choice["finish_reason"]) == ("text_completion", "length")
    assert choice["text"].startswith("ab") and len(choice["logprobs"]["tokens"]) == 8
    for own, top in zip(
        choice["logprobs"]["token_logprobs"], choice["logprobs"]["top_logprobs"], strict=True
    ):
        assert 1 <= len(top) <= 2 and max(top.values()) == own
    prompt = len(llm.tokenize("ab"))
    assert done["usage"] == {
        "prompt_tokens": prompt,
        "completion_tokens": 8,
        "total_tokens": prompt + 8,
    }
    chunks = list(llm("ab", max_tokens=8, temperature=0.0, stream=True))
    assert "ab" + "".join(chunk["choices"][0]["text"] for chunk in chunks) == choice["text"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


def test_llama_chats(path: Path) -> None:
    with remuda.Llama(path, seed=7) as llm:
        whole = llm.create_chat_completion(QUESTION, max_tokens=8)
        message = whole["choices"][0]["message"]
        assert message["role"] == "assistant"
        chunks = list(llm.create_chat_completion(QUESTION, max_tokens=8, stream=True))
        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant"}
        deltas = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
        assert "".join(deltas) == message["content"]
        answer = llm.create_chat_completion(
            QUESTION,
            max_tokens=80,
            response_format={"type": "json_object", "schema": {"type": "boolean"}},
        )
        assert json.loads(answer["choices"][0]["message"]["content"]) in (True, False)
        assert llm.detokenize(llm.tokenize(b"ab ba", add_bos=False)).strip() == b"ab ba"


def test_perplexity_is_that_of_llama_cpp(path: Path, model: Any) -> None:
    llama_cpp = pytest.importorskip("llama_cpp")
    import numpy as np

    text = "ab ba abba cab " * 20
    tokens = model.tokenize(text)
    peer = llama_cpp.Llama(str(path), n_ctx=64, n_batch=64, logits_all=True, verbose=False)
    assert peer.tokenize(text.encode()) == tokens
    losses: list[float] = []
    for start in range(0, len(tokens) - 63, 64):
        window = [1, *tokens[start + 1 : start + 64]]
        peer.reset()
        peer.eval(window)
        rows = np.array(peer.scores[:64], dtype=np.float64)
        rows -= rows.max(-1, keepdims=True)
        rows -= np.log(np.exp(rows).sum(-1, keepdims=True))
        losses += [-rows[at, window[at + 1]] for at in range(32, 63)]
    peer.close()
    assert model.perplexity(tokens, 64) == pytest.approx(float(np.exp(np.mean(losses))), rel=1e-3)
