"""Vectors of encoders, compared with transformers and, on the same files, with llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import remuda

gguf = pytest.importorskip("gguf")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCABULARY, FEATURES, LAYERS, HEADS, INNER, CONTEXT = 320, 128, 3, 4, 256, 128
POOLING = {"mean": 1, "first": 2, "last": 3}
TOKENS = [int(token) for token in np.random.default_rng(4).integers(5, VOCABULARY, 40)]


def bert() -> Any:
    torch.manual_seed(2)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=FEATURES,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        max_position_embeddings=CONTEXT,
    )
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(0.0, 0.1)
            else:
                weight.add_(torch.randn_like(weight) * 0.1)
    return model


def describe(writer: Any, arch: str, pooling: str) -> None:
    letters = [chr(97 + at) for at in range(26)]
    tokens = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *["\u2581" + letter for letter in letters],
        *letters,
    ]
    tokens += [f"word{at}" for at in range(VOCABULARY - len(tokens))]
    writer.add_string("tokenizer.ggml.model", "bert")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 5 + [1] * (VOCABULARY - 5))
    writer.add_token_type_count(2)
    for name, token in [
        ("padding", 0),
        ("unknown", 1),
        ("bos", 2),
        ("cls", 2),
        ("eos", 3),
        ("seperator", 3),
    ]:
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", token)
    sizes = {
        "block_count": LAYERS,
        "context_length": CONTEXT,
        "embedding_length": FEATURES,
        "feed_forward_length": INNER,
        "attention.head_count": HEADS,
        "pooling_type": POOLING[pooling],
    }
    for key, size in sizes.items():
        writer.add_uint32(f"{arch}.{key}", size)
    writer.add_float32(f"{arch}.attention.layer_norm_epsilon", 1e-12)
    writer.add_bool(f"{arch}.attention.causal", False)


def write(model: Any, path: Path, pooling: str) -> None:
    writer = gguf.GGUFWriter(path, "bert")
    describe(writer, "bert", pooling)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, LAYERS)
    for name, tensor in model.state_dict().items():
        ours = names.get_name(name, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(ours, tensor.numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def pooled(rows: Any, pooling: str) -> Any:
    vector = {"mean": rows.mean(0), "first": rows[0], "last": rows[-1]}[pooling]
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("pooling", sorted(POOLING))
def test_vectors_are_those_of_transformers(pooling: str, tmp_path: Path) -> None:
    model = bert()
    write(model, tmp_path / "m.gguf", pooling)
    with torch.no_grad():
        rows = model(torch.tensor([TOKENS])).last_hidden_state[0].numpy()
    with remuda.Embedder(tmp_path / "m.gguf") as embedder:
        assert (embedder.info["architecture"], embedder.info["pooling"]) == ("bert", pooling)
        got = np.asarray(embedder.embed([TOKENS, TOKENS[:7]]))
    assert got.shape == (2, FEATURES)
    np.testing.assert_allclose(got[0], pooled(rows, pooling), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)


def write_nomic(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "nomic-bert")
    describe(writer, "nomic-bert", "mean")
    writer.add_float32("nomic-bert.rope.freq_base", 1000.0)
    random = np.random.default_rng(5)
    shapes = {
        "token_embd.weight": [VOCABULARY, FEATURES],
        "token_types.weight": [2, FEATURES],
        "token_embd_norm.weight": [FEATURES],
        "token_embd_norm.bias": [FEATURES],
    }
    for at in range(LAYERS):
        layer = {
            "attn_qkv.weight": [3 * FEATURES, FEATURES],
            "attn_output.weight": [FEATURES, FEATURES],
            "attn_output_norm.weight": [FEATURES],
            "attn_output_norm.bias": [FEATURES],
            "ffn_gate.weight": [INNER, FEATURES],
            "ffn_up.weight": [INNER, FEATURES],
            "ffn_down.weight": [FEATURES, INNER],
            "layer_output_norm.weight": [FEATURES],
            "layer_output_norm.bias": [FEATURES],
        }
        shapes |= {f"blk.{at}.{name}": shape for name, shape in layer.items()}
    for name, shape in shapes.items():
        weight = random.normal(0.0, 0.1, shape).astype(np.float32)
        writer.add_tensor(name, weight + 1 if name.endswith("norm.weight") else weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("arch", ["bert", "nomic-bert"])
def test_vectors_of_texts_are_those_of_llama_cpp(arch: str, tmp_path: Path) -> None:
    llama_cpp = pytest.importorskip("llama_cpp")
    path = tmp_path / "m.gguf"
    if arch == "bert":
        write(bert(), path, "mean")
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
    write(bert(), tmp_path / "m.gguf", "mean")
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
