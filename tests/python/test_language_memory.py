"""What a language model takes of memory, and what is said when it does not fit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import remuda

gguf = pytest.importorskip("gguf")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from random_llama import Shape, write  # noqa: E402

CONTEXT = 4096
SHAPE = Shape(
    layers=4,
    features=512,
    inner=1536,
    heads=8,
    kv_heads=8,
    head_size=64,
    vocabulary=4000,
    context=CONTEXT,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    write(folder / "m.gguf", "Q8_0", SHAPE)
    return folder


def test_weights_that_are_not_packed_give_the_same_logits(folder: Path) -> None:
    tokens = list(range(300, 340))
    want = np.asarray(remuda.Model(folder / "m.gguf", n_ctx=64).logits(tokens))
    got = np.asarray(remuda.Model(folder / "m.gguf", n_ctx=64, repack=False).logits(tokens))
    # Rows go into products in 8 bits with packed weights, and in 32 without.
    assert np.abs(want - got).max() < 0.02 * np.abs(want).max()


def test_a_context_that_does_not_fit_is_refused_with_both_numbers(folder: Path) -> None:
    asked = 1 << 31
    message = (
        f"a context of {asked} positions needs [0-9]+ bytes of memory, there is room for [0-9]+"
    )
    with pytest.raises(remuda.ResourceError, match=message):
        remuda.Model(folder / "m.gguf", n_ctx=asked)
