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
    LONG_TOKENS,
    MODES,
    POOLING,
    RELATIVE,
    TOKENS,
    write_bert,
    write_bert_folder,
    write_modules,
    write_nomic,
    write_nomic_folder,
    write_t5,
    write_t5_folder,
)
from language.golden import FOLDER  # noqa: E402


def stored_rows(name: str = "rows") -> Any:
    with np.load(FOLDER / "encoder.npz") as arrays:
        return arrays[name].astype(np.float64)


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


@pytest.mark.parametrize("pooling", [None, *sorted(POOLING)])
def test_vectors_of_folders_are_those_of_transformers(pooling: str | None, tmp_path: Path) -> None:
    # Without the files of sentence-transformers it is the mean.
    write_bert_folder(tmp_path, old=pooling == "first")
    if pooling is not None:
        write_modules(tmp_path, MODES[pooling])
    with remuda.Embedder(tmp_path) as embedder:
        assert embedder.info["architecture"] == "bert"
        assert embedder.info["pooling"] == (pooling or "mean")
        got = np.asarray(embedder.embed([TOKENS]))
    np.testing.assert_allclose(got[0], pooled(stored_rows(), pooling or "mean"), atol=2e-6)


@pytest.mark.parametrize("arch", ["bert", "nomic-bert"])
def test_folders_give_the_vectors_of_files(arch: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    if arch == "bert":
        write_bert(path, "mean")
        write_bert_folder(tmp_path)
    else:
        write_nomic(path)
        write_nomic_folder(tmp_path)
    with remuda.Embedder(path) as file, remuda.Embedder(tmp_path) as folder:
        told = [embedder.info for embedder in (file, folder)]
        assert told[0] == told[1]
        for text in ["a b c", "word7 hello there", "z"]:
            assert file.tokenize(text) == folder.tokenize(text)
            want, got = (np.asarray(embedder.embed(text)) for embedder in (file, folder))
            np.testing.assert_allclose(got, want, atol=1e-6)
        want, got = (np.asarray(embedder.embed([TOKENS])) for embedder in (file, folder))
        np.testing.assert_allclose(got, want, atol=1e-6)


REFUSED = [
    ("bert", {"hidden_act": "relu"}, 'expected "gelu"'),
    ("bert", {"is_decoder": True}, "expected false"),
    ("bert", {"position_embedding_type": "relative_key"}, 'expected "absolute"'),
    ("bert", {"novelty": [1]}, "expected no setting of this name"),
    ("nomic-bert", {"activation_function": "gelu"}, 'expected "swiglu"'),
    ("nomic-bert", {"activation_function": None}, 'expected "swiglu"'),
    ("nomic-bert", {"rotary_emb_fraction": 0.5}, "expected 1"),
    ("nomic-bert", {"rotary_emb_interleaved": True}, "expected false"),
    ("nomic-bert", {"rotary_emb_scale_base": 512}, "expected no setting of this name"),
    ("nomic-bert", {"prenorm": True}, "expected false"),
    ("nomic-bert", {"use_rms_norm": True}, "expected false"),
    ("nomic-bert", {"moe_every_n_layers": 2}, "expected no setting of this name"),
]


@pytest.mark.parametrize(("arch", "settings", "message"), REFUSED)
def test_settings_of_folders_that_are_not_supported_are_named(
    arch: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write = write_bert_folder if arch == "bert" else write_nomic_folder
    write(tmp_path, **settings)
    with pytest.raises(remuda.UnsupportedError, match=f"`{next(iter(settings))}` is .*{message}"):
        remuda.Embedder(tmp_path)


@pytest.mark.parametrize("arch", ["bert", "nomic-bert"])
def test_folders_of_encoders_that_are_cut_off_say_where(arch: str, tmp_path: Path) -> None:
    (write_bert_folder if arch == "bert" else write_nomic_folder)(tmp_path)
    for file in ("model.safetensors", "config.json"):
        whole = (tmp_path / file).read_bytes()
        for length in (0, 7, len(whole) // 2, len(whole) - 1):
            (tmp_path / file).write_bytes(whole[:length])
            with pytest.raises(remuda.Error, match=file.replace(".", r"\.")):
                remuda.Embedder(tmp_path)
        (tmp_path / file).write_bytes(whole)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(remuda.Error, match=r"tokenizer\.json"):
        remuda.Embedder(tmp_path).embed("a text")


def test_pooling_and_modules_that_are_not_known_are_named(tmp_path: Path) -> None:
    cases: list[tuple[list[str], str, str]] = [
        ([], "Normalize", "`pooling_mode` is ``"),
        (["max_tokens"], "Normalize", "`pooling_mode` is `pooling_mode_max_tokens`"),
        (["mean_tokens", "cls_token"], "Normalize", "mean_tokens, pooling_mode_cls_token`"),
        (["mean_tokens"], "Dense", "`modules.json` is `sentence_transformers.models.Dense`"),
    ]
    for at, (modes, last, message) in enumerate(cases):
        folder = tmp_path / str(at)
        folder.mkdir()
        write_bert_folder(folder)
        write_modules(folder, *modes, last=last)
        with pytest.raises(remuda.UnsupportedError, match=message):
            remuda.Embedder(folder)


def test_stored_rows_are_those_of_transformers() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from language import reference

    np.testing.assert_allclose(stored_rows(), reference.encoded(), atol=1e-5)
    for name in RELATIVE:
        live = reference.encoded_relative(name)
        np.testing.assert_allclose(stored_rows(name), live, atol=1e-5)


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("name", sorted(RELATIVE))
def test_vectors_of_t5_are_those_of_transformers(name: str, kind: str, tmp_path: Path) -> None:
    if kind == "file":
        path = tmp_path / "m.gguf"
        write_t5(name, path)
    else:
        path = tmp_path
        write_t5_folder(name, path)
    with remuda.Embedder(path) as embedder:
        assert embedder.info["architecture"] == "t5encoder"
        assert embedder.tokenize("b c")[:2] == [4, 5]
        got = np.asarray(embedder.embed([LONG_TOKENS]))
    np.testing.assert_allclose(got[0], pooled(stored_rows(name), "mean"), atol=2e-6)


def test_encoders_with_decoders_that_are_not_known_are_refused(tmp_path: Path) -> None:
    write_t5_folder("t5-relu", tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"t5"', '"mt5"'))
    for kind in (remuda.Embedder, remuda.Model):
        with pytest.raises(remuda.UnsupportedError, match="`mt5` reads with an encoder and writes"):
            kind(tmp_path)


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
