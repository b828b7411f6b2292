"""Vectors of encoders, compared with what transformers answers and, on the same files, with llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import remuda

gguf = pytest.importorskip("gguf")

from language.encoder import (  # noqa: E402
    CONTEXT,
    FEATURES,
    POOLING,
    TOKENS,
    write_bert,
    write_nomic,
)
from language.golden import FOLDER  # noqa: E402


def stored_rows() -> Any:
    with np.load(FOLDER / "encoder.npz") as arrays:
        return arrays["rows"].astype(np.float64)


def pooled(rows: Any, pooling: str) -> Any:
    vector = {"mean": rows.mean(0), "first": rows[0], "last": rows[-1]}[pooling]
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("pooling", sorted(POOLING))
def test_vectors_are_those_of_transformers(pooling: str, tmp_path: Path) -> None:
    write_bert(tmp_path / "m.gguf", pooling)
    with remuda.Embedder(tmp_path / "m.gguf") as embedder:
        assert (embedder.info["architecture"], embedder.info["pooling"]) == ("bert", pooling)
        got = np.asarray(embedder.embed([TOKENS, TOKENS[:7]]))
    assert got.shape == (2, FEATURES)
    np.testing.assert_allclose(got[0], pooled(stored_rows(), pooling), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)


def test_stored_rows_are_those_of_transformers() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from language import reference

    np.testing.assert_allclose(stored_rows(), reference.encoded(), atol=1e-5)


@pytest.mark.parametrize("arch", ["bert", "nomic-bert"])
def test_vectors_of_texts_are_those_of_llama_cpp(arch: str, tmp_path: Path) -> None:
    llama_cpp = pytest.importorskip("llama_cpp")
    path = tmp_path / "m.gguf"
    if arch == "bert":
        write_bert(path, "mean")
    else:
        write_nomic(path)
    peer = llama_cpp.Llama(str(path), embedding=True, n_ctx=CONTEXT, verbose=False)
    embedder = remuda.Embedder(path)
    for text in ["a b c", "word7 hello there", "z"]:
        assert peer.tokenize(text.encode()) == embedder.tokenize(text)
        want = np.array(peer.embed(text))
        want /= np.linalg.norm(want)
        np.testing.assert_allclose(np.asarray(embedder.embed(text))[0], want, atol=2e-3)
    peer.close()


def test_what_cannot_be_embedded_is_refused(tmp_path: Path) -> None:
    write_bert(tmp_path / "m.gguf", "mean")
    embedder = remuda.Embedder(tmp_path / "m.gguf")
    with pytest.raises(remuda.InputError, match="129 tokens, the context has room for 128"):
        embedder.embed([[5] * 129])
    with pytest.raises(remuda.InputError, match="token 320 is not in the vocabulary of 320"):
        embedder.embed([[320]])
    with pytest.raises(remuda.InputError, match="no tokens"):
        embedder.embed([[]])
    embedder.close()
    with pytest.raises(remuda.InputError, match="the model is closed"):
        embedder.embed("a")
