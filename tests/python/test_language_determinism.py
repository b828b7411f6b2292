"""Deterministic answers: the same bits in any batch, on any number of threads, whatever is in the caches."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import remuda
from remuda import _core

gguf = pytest.importorskip("gguf")

from language import direct, models, quantised  # noqa: E402

TOKENS = [int(token) for token in np.random.default_rng(3).integers(2, models.VOCABULARY, 150)]
PROMPTS = ["ab ba", "ab ba abba", "c", "ab ba abba cab ab ba"]


def logits(path: Path, threads: int, n_batch: int, prefix: int = 0) -> bytes:
    runtime = _core.Runtime(["cpu"], threads)
    model = _core.LanguageModel(runtime, path, n_batch=n_batch, deterministic=True)
    if prefix:
        list(model.greedy(TOKENS[:prefix], 1))
    return np.asarray(model.logits(TOKENS)).tobytes()


@pytest.mark.parametrize(
    ("arch", "kind"),
    [
        ("llama", "F32"),
        ("llama", "F16"),
        ("llama", "BF16"),
        ("llama", "Q8_0"),
        ("llama", "Q4_0"),
        ("llama", "Q5_1"),
        ("qwen3moe", "Q8_0"),
        ("deepseek3", "F16"),
        ("gemma3", "Q8_0"),
    ],
)
def test_logits_are_the_same_bits(arch: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    direct.write(arch, path, kind)
    want = logits(path, 1, 512)
    for threads, n_batch, prefix in [(2, 512, 0), (3, 7, 0), (2, 1, 0), (1, 64, 100)]:
        assert logits(path, threads, n_batch, prefix) == want, (threads, n_batch, prefix)


def test_logits_of_k_types_are_the_same_bits(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    plain, packed = tmp_path / "plain.gguf", tmp_path / "packed.gguf"
    direct.write("llama", plain)
    for kind in ["Q4_K_M", "Q2_K", "IQ4_NL"]:
        quantised.quantise(plain, packed, kind)
        want = logits(packed, 1, 512)
        assert logits(packed, 3, 5) == want == logits(packed, 2, 1), kind


@pytest.fixture(scope="module", params=["llama", "qwen3moe"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("determinism") / "m.gguf"
    direct.write(request.param, path, "Q8_0", text=True)
    return path


def answers(path: Path, **options: Any) -> list[str]:
    """Answers that were asked for one by one."""
    with remuda.Model(path, deterministic=True, **options) as model:
        return [model.generate(PROMPTS[at % 4], 24, seed=at) for at in range(8)]


def test_a_seed_gives_one_answer_in_any_batch(path: Path) -> None:
    want = answers(path, threads=1)
    assert len(set(want)) == len(want), "seeds matter"
    for options in [{"threads": 3}, {"n_batch": 3}, {"n_seq": 3}, {"lookup": True}]:
        assert answers(path, **options) == want, options
    with remuda.Model(path, n_seq=5, n_batch=9, threads=2, deterministic=True) as model:
        # What was asked before stays in the caches.
        model.generate(PROMPTS[3], 40, seed=99)
        got: list[str | None] = [None] * 8

        def ask(at: int) -> None:
            got[at] = model.generate(PROMPTS[at % 4], 24, seed=at)

        threads = [threading.Thread(target=ask, args=(at,)) for at in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == want
