"""Logits of files, and how far they are apart: what tests of language models share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from remuda import _core

from .golden import TOKENS

Floats = NDArray[np.float64]

# Divergence per token: what rounding of the cache and of the sums may do.
PLAIN_BOUND = 1e-4
QUANTISED_BOUND = 1e-3
# Rows go into products in 8 bits where the type has kernels of its own, here as there, and each rounds in its own way.
ROUNDING = 1.1


def divergences(want: Floats, got: Floats) -> Floats:
    """The Kullback-Leibler divergence of each row."""

    def log_softmax(rows: Floats) -> Floats:
        shifted = rows - rows.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

    p, q = log_softmax(want.astype(np.float64)), log_softmax(got.astype(np.float64))
    return np.asarray((np.exp(p) * (p - q)).sum(axis=-1))


def divergence(want: Floats, got: Floats) -> float:
    """The largest divergence of any row."""
    return float(divergences(want, got).max())


def open_model(path: Path, **options: Any) -> Any:
    """A model on two threads of the CPU."""
    return _core.LanguageModel(_core.Runtime(["cpu"], 2), path, **options)


def remuda_logits(path: Path, **options: Any) -> Floats:
    """The logits behind each of the tokens."""
    return np.asarray(open_model(path, **options).logits(TOKENS))


def llama_cpp_logits(path: Path, **options: Any) -> Floats:
    """The same of llama.cpp; skips where it is not installed."""
    llama_cpp = pytest.importorskip("llama_cpp")
    params = {"n_ctx": 256, "n_batch": 256, "logits_all": True, "verbose": False, "n_threads": 2}
    llama = llama_cpp.Llama(str(path), **params, **options)
    llama.eval(TOKENS)
    logits = np.array(llama.scores[: len(TOKENS)], dtype=np.float64)
    llama.close()
    return logits


def beside_llama_cpp(path: Path, *, chooses: bool = False) -> float:
    """The divergence from llama.cpp. A rounded cache may choose another of two experts that are nearly alike (within
    one engine, too), so that models which choose have caches of f32."""
    want = llama_cpp_logits(path, **({"type_k": 0, "type_v": 0} if chooses else {}))
    return divergence(want, remuda_logits(path, **({"cache": "f32"} if chooses else {})))
