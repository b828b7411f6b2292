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


MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(97 + at) for at in range(26)]
ENDS = [f"word{at}" for at in range(VOCABULARY - len(MARKS) - 2 * len(LETTERS))]


def _describe(writer: gguf.GGUFWriter, arch: str, pooling: str) -> None:
    tokens = [*MARKS, *["\u2581" + letter for letter in LETTERS], *LETTERS, *ENDS]
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


def _write_pieces(folder: Path) -> None:
    """Writes the vocabulary of word pieces as `tokenizer.json`."""
    pieces = [*MARKS, *LETTERS, *["##" + piece for piece in [*LETTERS, *ENDS]]]
    tokenizer = {
        "version": "1.0",
        "added_tokens": [
            {
                "id": at,
                "content": mark,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for at, mark in enumerate(MARKS)
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
            ],
            "pair": [],
            "special_tokens": {
                mark: {"id": mark, "ids": [MARKS.index(mark)], "tokens": [mark]}
                for mark in ("[CLS]", "[SEP]")
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {piece: at for at, piece in enumerate(pieces)},
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


MODES = {"mean": "mean_tokens", "first": "cls_token", "last": "lasttoken"}


def write_modules(folder: Path, *modes: str, last: str = "Normalize") -> None:
    """Writes what a text goes through, as sentence-transformers keeps it."""
    named = [("Transformer", ""), ("Pooling", "1_Pooling"), (last, "2_Last")]
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (kind, path) in enumerate(named)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    all_modes = [*MODES.values(), "max_tokens", "mean_sqrt_len_tokens"]
    pooling: dict[str, Any] = {f"pooling_mode_{mode}": mode in modes for mode in all_modes}
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps({**pooling, "include_prompt": True}))


BERT: dict[str, Any] = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "vocab_size": VOCABULARY,
    "hidden_size": FEATURES,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": INNER,
    "max_position_embeddings": CONTEXT,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "type_vocab_size": 2,
}


def write_bert_folder(folder: Path, *, old: bool = False, **settings: Any) -> None:
    """Writes a BERT as a folder; an `old` one with other names, and with the heads that it was trained with."""
    made: dict[str, np.ndarray[Any, Any]] = dict(weights(bert_shapes(), spread=SPREAD))
    if old:
        norms = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        for now, then in norms.items():
            made = {name.replace(now, then): weight for name, weight in made.items()}
        made = {f"bert.{name}": weight for name, weight in made.items()}
        made["bert.embeddings.position_ids"] = np.arange(CONTEXT)[None]
        made["bert.pooler.dense.weight"] = np.zeros((FEATURES, FEATURES), np.float32)
        made["cls.predictions.bias"] = np.zeros(VOCABULARY, np.float32)
    write_folder({**BERT, **settings}, made, folder)
    _write_pieces(folder)


def _nomic_weights() -> dict[str, Array]:
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
    return weights(shapes, spread=SPREAD)


def write_nomic(path: Path) -> None:
    """Writes a Nomic BERT."""
    writer = gguf.GGUFWriter(path, "nomic-bert")
    _describe(writer, "nomic-bert", "mean")
    writer.add_float32("nomic-bert.rope.freq_base", 1000.0)
    _add(writer, _nomic_weights())
    finish(writer)


NOMIC: dict[str, Any] = {
    "model_type": "nomic_bert",
    "architectures": ["NomicBertModel"],
    "activation_function": "swiglu",
    "causal": False,
    "fused_bias_fc": True,
    "layer_norm_epsilon": 1e-12,
    "max_trained_positions": CONTEXT,
    "mlp_fc1_bias": False,
    "n_embd": FEATURES,
    "n_head": HEADS,
    "n_inner": INNER,
    "n_layer": LAYERS,
    "n_positions": 4 * CONTEXT,
    "prenorm": False,
    "qkv_proj_bias": False,
    "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "rotary_scaling_factor": 2,
    "type_vocab_size": 2,
    "use_rms_norm": False,
    "vocab_size": VOCABULARY,
}
NOMIC_NAMES = {
    "token_embd": "embeddings.word_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "token_embd_norm": "emb_ln",
    "attn_qkv": "attn.Wqkv",
    "attn_output": "attn.out_proj",
    "attn_output_norm": "norm1",
    "ffn_up": "mlp.fc11",
    "ffn_gate": "mlp.fc12",
    "ffn_down": "mlp.fc2",
    "layer_output_norm": "norm2",
}


def write_nomic_folder(folder: Path, **settings: Any) -> None:
    """Writes the same Nomic BERT as a folder."""
    made = {}
    for ours, weight in _nomic_weights().items():
        *layer, part, ending = ours.split(".")
        scope = f"encoder.layers.{layer[1]}." if layer else ""
        made[f"{scope}{NOMIC_NAMES[part]}.{ending}"] = weight
    write_folder({**NOMIC, **settings}, made, folder)
    _write_pieces(folder)


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


def describe_pieces(writer: gguf.GGUFWriter, end: int = 1) -> None:
    """Adds the vocabulary of T5 to the metadata; `end` ends texts."""
    writer.add_string("tokenizer.ggml.model", "t5")
    writer.add_token_list(_pieces())
    writer.add_token_scores([-float(at) for at in range(VOCABULARY)])
    writer.add_token_types([3, 3, 2] + [1] * (VOCABULARY - 3))
    writer.add_uint32("tokenizer.ggml.padding_token_id", 0)
    writer.add_uint32("tokenizer.ggml.eos_token_id", end)
    writer.add_uint32("tokenizer.ggml.unknown_token_id", 2)
    writer.add_bool("tokenizer.ggml.add_space_prefix", val=True)
    writer.add_bool("tokenizer.ggml.add_bos_token", val=False)
    writer.add_bool("tokenizer.ggml.add_eos_token", val=True)


def write_t5(name: str, path: Path) -> None:
    """Writes an encoder of T5 as a GGUF file."""
    writer = gguf.GGUFWriter(path, "t5encoder")
    describe_pieces(writer)
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
    write_pieces(folder)


def write_pieces(folder: Path) -> None:
    """Writes the vocabulary of T5 as `tokenizer.json`."""
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
