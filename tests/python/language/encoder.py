"""Small encoders with seeded weights, as GGUF files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from .files import finish, write_folder, write_keys
from .weights import Array, weights

VOCABULARY, FEATURES, LAYERS, HEADS, INNER, CONTEXT = 320, 128, 3, 4, 256, 128
POOLING = {"mean": 1, "first": 2, "last": 3}
TOKENS = [int(token) for token in np.random.RandomState(4).randint(5, VOCABULARY, 40)]
SPREAD = 0.1


def _describe(writer: gguf.GGUFWriter, arch: str, pooling: str) -> None:
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
    keys = {
        "block_count": LAYERS,
        "context_length": CONTEXT,
        "embedding_length": FEATURES,
        "feed_forward_length": INNER,
        "attention.head_count": HEADS,
        "pooling_type": POOLING[pooling],
        "attention.layer_norm_epsilon": 1e-12,
        "attention.causal": False,
    }
    write_keys(writer, arch, keys)


def _add(writer: gguf.GGUFWriter, tensors: Mapping[str, Array]) -> None:
    for name, weight in tensors.items():
        writer.add_tensor(name, weight)


def bert_shapes() -> dict[str, tuple[int, ...]]:
    """The weights of BERT as transformers names them."""

    def linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}

    def norm(name: str) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (FEATURES,), f"{name}.bias": (FEATURES,)}

    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, FEATURES),
        "embeddings.position_embeddings.weight": (CONTEXT, FEATURES),
        "embeddings.token_type_embeddings.weight": (2, FEATURES),
        **norm("embeddings.LayerNorm"),
    }
    for at in range(LAYERS):
        layer = f"encoder.layer.{at}"
        for part in ("query", "key", "value"):
            shapes |= linear(f"{layer}.attention.self.{part}", FEATURES, FEATURES)
        shapes |= linear(f"{layer}.attention.output.dense", FEATURES, FEATURES)
        shapes |= norm(f"{layer}.attention.output.LayerNorm")
        shapes |= linear(f"{layer}.intermediate.dense", INNER, FEATURES)
        shapes |= linear(f"{layer}.output.dense", FEATURES, INNER)
        shapes |= norm(f"{layer}.output.LayerNorm")
    return shapes


def write_bert(path: Path, pooling: str) -> None:
    """Writes a BERT."""
    writer = gguf.GGUFWriter(path, "bert")
    _describe(writer, "bert", pooling)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, LAYERS)
    made = weights(bert_shapes(), spread=SPREAD)
    ours = {names.get_name(name, try_suffixes=(".weight", ".bias")): made[name] for name in made}
    _add(writer, ours)
    finish(writer)


def write_nomic(path: Path) -> None:
    """Writes a Nomic BERT."""
    writer = gguf.GGUFWriter(path, "nomic-bert")
    _describe(writer, "nomic-bert", "mean")
    writer.add_float32("nomic-bert.rope.freq_base", 1000.0)
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
    _add(writer, weights(shapes, spread=SPREAD))
    finish(writer)


# T5's encoder: heads of a size of their own, and texts longer than the farthest distance that it tells apart.
RELATIVE = {"t5-relu": "relu", "t5-gated": "gated-gelu"}
SIZE, BUCKETS, T5_CONTEXT = 24, 32, 512
LONG_TOKENS = [int(token) for token in np.random.RandomState(5).randint(3, VOCABULARY, 200)]


def t5_config(name: str) -> dict[str, Any]:
    """The configuration of an encoder of T5."""
    return {
        "vocab_size": VOCABULARY,
        "d_model": FEATURES,
        "d_kv": SIZE,
        "d_ff": INNER,
        "num_layers": LAYERS,
        "num_heads": HEADS,
        "relative_attention_num_buckets": BUCKETS,
        "relative_attention_max_distance": 128,
        "layer_norm_epsilon": 1e-6,
        "feed_forward_proj": RELATIVE[name],
    }


def t5_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """The weights of an encoder of T5 as transformers names them."""
    wide = HEADS * SIZE
    shapes: dict[str, tuple[int, ...]] = {"shared.weight": (VOCABULARY, FEATURES)}
    for at in range(LAYERS):
        first, second = (f"encoder.block.{at}.layer.{part}" for part in (0, 1))
        attention = f"{first}.SelfAttention"
        for part in ("q", "k", "v"):
            shapes[f"{attention}.{part}.weight"] = (wide, FEATURES)
        shapes[f"{attention}.o.weight"] = (FEATURES, wide)
        if at == 0:
            shapes[f"{attention}.relative_attention_bias.weight"] = (BUCKETS, HEADS)
        shapes[f"{first}.layer_norm.weight"] = (FEATURES,)
        for part in ("wi",) if name == "t5-relu" else ("wi_0", "wi_1"):
            shapes[f"{second}.DenseReluDense.{part}.weight"] = (INNER, FEATURES)
        shapes[f"{second}.DenseReluDense.wo.weight"] = (FEATURES, INNER)
        shapes[f"{second}.layer_norm.weight"] = (FEATURES,)
    shapes["encoder.final_layer_norm.weight"] = (FEATURES,)
    return shapes


def _pieces() -> list[str]:
    """A vocabulary: control tokens, letters with and without a space in front, words."""
    letters = [chr(97 + at) for at in range(26)]
    pieces = ["<pad>", "</s>", "<unk>", *["\u2581" + letter for letter in letters], *letters]
    return pieces + [f"word{at}" for at in range(VOCABULARY - len(pieces))]


def write_t5(name: str, path: Path) -> None:
    """Writes an encoder of T5 as a GGUF file."""
    writer = gguf.GGUFWriter(path, "t5encoder")
    writer.add_string("tokenizer.ggml.model", "t5")
    writer.add_token_list(_pieces())
    writer.add_token_scores([-float(at) for at in range(VOCABULARY)])
    writer.add_token_types([3, 3, 2] + [1] * (VOCABULARY - 3))
    writer.add_uint32("tokenizer.ggml.padding_token_id", 0)
    writer.add_uint32("tokenizer.ggml.eos_token_id", 1)
    writer.add_uint32("tokenizer.ggml.unknown_token_id", 2)
    writer.add_bool("tokenizer.ggml.add_space_prefix", val=True)
    writer.add_bool("tokenizer.ggml.add_bos_token", val=False)
    writer.add_bool("tokenizer.ggml.add_eos_token", val=True)
    keys = {
        "block_count": LAYERS,
        "context_length": T5_CONTEXT,
        "embedding_length": FEATURES,
        "feed_forward_length": INNER,
        "attention.head_count": HEADS,
        "attention.key_length": SIZE,
        "attention.value_length": SIZE,
        "attention.relative_buckets_count": BUCKETS,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "attention.causal": False,
    }
    write_keys(writer, "t5encoder", keys)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5ENCODER, LAYERS)
    made = weights(t5_shapes(name), spread=SPREAD)
    ours = {names.get_name(name, try_suffixes=(".weight",)): made[name] for name in made}
    _add(writer, ours)
    finish(writer)


def write_t5_folder(name: str, folder: Path) -> None:
    """Writes an encoder of T5 as a folder."""
    config = {"model_type": "t5", "architectures": ["T5EncoderModel"], **t5_config(name)}
    write_folder(config, weights(t5_shapes(name), spread=SPREAD), folder)
    scored = [[piece, -float(at)] for at, piece in enumerate(_pieces())]
    spaces = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": spaces,
        "post_processor": None,
        "decoder": spaces,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": scored},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
