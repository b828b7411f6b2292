"""A draft model guesses tokens: answers stay as they are, and guesses that are right are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import remuda

gguf = pytest.importorskip("gguf")

from language import direct  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("draft")
    direct.write("llama", folder / "m.gguf", text=True)
    direct.write("qwen3", folder / "other.gguf", text=True)
    return folder


@pytest.mark.parametrize("draft", ["m.gguf", "other.gguf"])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_guesses_change_no_answer(folder: Path, draft: str, temperature: float) -> None:
    with remuda.Model(folder / "m.gguf", cache_type="f32") as model:
        want = [model.generate("ab ba", 80, seed=seed, temperature=temperature) for seed in (1, 2)]
    with remuda.Model(folder / "m.gguf", cache_type="f32", draft_model=folder / draft) as model:
        got = [model.generate("ab ba", 80, seed=seed, temperature=temperature) for seed in (1, 2)]
        assert got == want
        assert model.info["weight_bytes"] > (folder / draft).stat().st_size


def test_right_guesses_are_kept(folder: Path) -> None:
    with remuda.Model(folder / "m.gguf", draft_model=folder / "m.gguf") as model:
        stream = model.stream("ab ba", 80, temperature=0.0)
        list(stream)
        # A model agrees with itself: the first guesses are right, whoever is faster afterwards.
        assert stream.usage["ahead_tokens"] >= 16
        assert stream.usage["completion_tokens"] == 80


def test_a_draft_of_another_vocabulary_is_refused(folder: Path) -> None:
    with pytest.raises(remuda.InputError, match="vocabulary of 4096, expected the model's: 320"):
        remuda.Model(folder / "m.gguf", draft_model="demo")
