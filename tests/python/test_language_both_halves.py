"""T5, whose encoder reads the prompt and whose decoder writes the answer, compared with what transformers says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import remuda

gguf = pytest.importorskip("gguf")

from language import both_halves, encoder  # noqa: E402
from language.both_halves import ANSWER, END, PLACES, PROMPTS, START, STEPS  # noqa: E402
from language.compare import PLAIN_BOUND, divergence, open_model  # noqa: E402
from language.golden import FOLDER  # noqa: E402

NAMES = sorted(encoder.RELATIVE)
PROMPT = encoder.LONG_TOKENS


def write(name: str, kind: str, folder: Path) -> Path:
    """A model as a file or as a folder."""
    if kind == "folder":
        both_halves.save(name, folder)
        return folder
    both_halves.write(name, folder / "m.gguf")
    return folder / "m.gguf"


def logits(path: Path, **options: Any) -> Any:
    model = open_model(path, **{"cache": "f32", **options})
    return np.asarray(model.answer_logits(PROMPT, ANSWER))


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_agree_with_transformers(name: str, kind: str, tmp_path: Path) -> None:
    want = both_halves.told(name).logits
    path = write(name, kind, tmp_path)
    got = logits(path)
    assert got.shape == (len(ANSWER) + 1, encoder.VOCABULARY)
    assert want.std() > 0.1, "the model says something"
    assert divergence(want, got[PLACES]) <= PLAIN_BOUND
    np.testing.assert_allclose(got[PLACES], want, atol=2e-3 * np.abs(want).max())
    assert divergence(got, logits(path, n_batch=7)) <= PLAIN_BOUND


@pytest.mark.parametrize("name", NAMES)
def test_stored_logits_are_those_of_transformers(name: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from language import reference

    live, stored = reference.BothHalves(name), both_halves.told(name)
    np.testing.assert_allclose(stored.logits, live.logits(PROMPT, ANSWER)[PLACES], atol=1e-4)
    greedy, _ = live.greedy(PROMPTS[1], 12)
    assert greedy == stored.greedy[1, :12].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_greedy_tokens_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    want = both_halves.told(name)
    model = open_model(write(name, "file", tmp_path), cache="f32")
    for at, prompt in enumerate(PROMPTS):
        got = list(model.greedy(prompt, STEPS))
        assert len(got) == STEPS
        differs = (step for step in range(STEPS) if got[step] != want.greedy[at, step])
        first = next(differs, None)
        # What follows another token is another text.
        assert first is None or want.ahead[at, first] < 1e-3, (at, first)


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_weights_of_other_types_are_what_they_are_rounded_to(dtype: str, tmp_path: Path) -> None:
    packed, rounded = tmp_path / "packed.gguf", tmp_path / "rounded.gguf"
    both_halves.write("t5-gated", packed, dtype)
    both_halves.write("t5-gated", rounded, via=dtype)
    assert divergence(logits(rounded), logits(packed)) <= PLAIN_BOUND


@pytest.mark.parametrize("name", NAMES)
def test_many_sequences_at_once_give_what_each_gives_alone(name: str, tmp_path: Path) -> None:
    path = write(name, "file", tmp_path)
    alone = [list(open_model(path, cache="f32").greedy(prompt, 24)) for prompt in PROMPTS]
    assert len(set(map(tuple, alone))) == len(alone), "the prompts matter"
    for options in ({}, {"lookup": True}, {"n_seq": 4, "n_batch": 16}, {"n_seq": 6}):
        together = open_model(path, cache="f32", **options)
        for _ in range(2):
            running = [together.greedy(prompt, 24) for prompt in PROMPTS]
            assert [list(generation) for generation in running] == alone, options


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("name", NAMES)
def test_the_encoder_of_a_whole_model_gives_vectors(name: str, kind: str, tmp_path: Path) -> None:
    with np.load(FOLDER / "encoder.npz") as arrays:
        want = arrays[name].astype(np.float64).mean(0)
    with remuda.Embedder(write(name, kind, tmp_path)) as embedder:
        assert embedder.info["architecture"] == "t5"
        got = np.asarray(embedder.embed([PROMPT]))[0]
        whole = embedder.info["parameters"]
    np.testing.assert_allclose(got, want / np.linalg.norm(want), atol=2e-6)
    assert whole == sum(int(np.prod(shape)) for shape in encoder.t5_shapes(name).values())


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_text_is_answered_as_its_tokens_are(kind: str, tmp_path: Path) -> None:
    path = write("t5-gated", kind, tmp_path)
    with remuda.Model(path, cache_type="f32") as model:
        prompt = model.tokenize("b c word9")
        if kind == "file":
            assert prompt[-1] == END
        want = list(open_model(path, cache="f32").greedy(prompt, 9, [END]))
        assert model.generate(prompt, 9, temperature=0) == model.detokenize(want)
        assert model.generate("b c word9", 9, temperature=0) == model.detokenize(want)
        with pytest.raises(remuda.InputError, match="`t5` answers texts and knows no conversation"):
            model.chat([{"role": "user", "content": "b"}], 3)
        with pytest.raises(remuda.InputError, match="reads prompts with an encoder"):
            model.logits("b c")
        with pytest.raises(remuda.InputError, match="reads prompts with an encoder"):
            model.perplexity(PROMPT)


def test_an_answer_ends_with_the_token_that_ends_texts(tmp_path: Path) -> None:
    path = write("t5-relu", "file", tmp_path)
    said = list(open_model(path, cache="f32").greedy(PROMPTS[2], 24))
    end = said[7]
    # The same model, for which the token that it says next ends texts.
    both_halves.write("t5-relu", path, end=end)
    with remuda.Model(path, cache_type="f32") as model:
        want = model.detokenize(said[: said.index(end)])
        assert model.generate(PROMPTS[2], 24, temperature=0) == want


def test_the_token_that_answers_start_with_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    both_halves.write("t5-gated", path, decoder_start_token_id=9)
    other = np.asarray(open_model(path, cache="f32").answer_logits(PROMPT, ANSWER))
    both_halves.write("t5-gated", path)
    model = open_model(path, cache="f32")
    assert START != 9
    assert divergence(np.asarray(model.answer_logits(PROMPT, ANSWER)), other) > PLAIN_BOUND
    both_halves.write("t5-gated", path, decoder_start_token_id=encoder.VOCABULARY)
    with pytest.raises(remuda.ModelFormatError, match=r"`t5\.decoder_start_token_id` is 320"):
        open_model(path)


def test_what_is_no_whole_model_is_refused(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"architectures": ["T5Model"]}, remuda.UnsupportedError, "`T5ForConditionalGeneration`"),
        ({"feed_forward_proj": "gated-silu"}, remuda.Error, "`relu` or `gated-gelu`"),
        ({"relative_attention_max_distance": 64}, remuda.Error, "expected 128"),
        ({"num_decoder_layers": 3}, remuda.ModelFormatError, r"dec\.blk\.2\.attn_\w+\.weight"),
        ({"num_decoder_layers": 1}, remuda.UnsupportedError, r"dec\.blk\.1\..* has no place"),
        ({"decoder_start_token_id": 999}, remuda.ModelFormatError, "a token below 320"),
        ({"model_type": "mt5"}, remuda.UnsupportedError, "`mt5` reads with an encoder"),
    ]
    for at, (settings, kind, message) in enumerate(cases):
        folder = tmp_path / str(at)
        folder.mkdir()
        both_halves.save("t5-gated", folder, **settings)
        with pytest.raises(kind, match=message):
            open_model(folder)


def test_a_head_that_is_said_to_be_that_of_the_embeddings_is(tmp_path: Path) -> None:
    want = both_halves.told("t5-relu").logits
    head = np.full((encoder.VOCABULARY, encoder.FEATURES), np.nan, np.float32)
    both_halves.save(
        "t5-relu", tmp_path, {"lm_head.weight": head, "decoder.embed_tokens.weight": head}
    )
    assert divergence(want, logits(tmp_path)[PLACES]) <= PLAIN_BOUND


def test_an_answer_is_the_same_each_time(tmp_path: Path) -> None:
    path = write("t5-gated", "file", tmp_path)
    asked = {"temperature": 0.8, "seed": 7}
    with remuda.Model(path, deterministic=True) as model:
        first = model.generate(PROMPTS[3], 40, **asked)
        assert model.generate(PROMPTS[3], 40, **asked) == first
        assert model.generate(PROMPTS[3], 40, **{**asked, "seed": 8}) != first
