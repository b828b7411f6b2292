"""Small T5s, an encoder and a decoder, with seeded weights: as GGUF files and as folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from . import encoder
from .encoder import BUCKETS, FEATURES, HEADS, INNER, LAYERS, SIZE, T5_CONTEXT, VOCABULARY
from .files import finish, write_folder, write_keys
from .weights import Array, weights

# As many layers as the encoder has, and fewer.
DECODER_LAYERS = {"t5-relu": LAYERS, "t5-gated": LAYERS - 1}
# The first has the embeddings' matrix as its head, the second one of its own.
TIED = {"t5-relu": True, "t5-gated": False}
START = 0
END = 1
# Longer than the farthest distance that is told apart.
ANSWER = [int(token) for token in np.random.RandomState(6).randint(3, VOCABULARY, 150)]
PLACES = list(range(0, len(ANSWER) + 1, 10))
STEPS = 192
PROMPTS = [encoder.LONG_TOKENS[at : at + 6 + 31 * at] for at in range(6)]


def config(name: str) -> dict[str, Any]:
    """What transformers is told of a model."""
    return {
        **encoder.t5_config(name),
        "num_decoder_layers": DECODER_LAYERS[name],
        "tie_word_embeddings": TIED[name],
        "decoder_start_token_id": START,
        "pad_token_id": START,
        "eos_token_id": END,
    }


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """The weights of a model as transformers names them."""
    made = dict(encoder.t5_shapes(name))
    wide = HEADS * SIZE
    for at in range(DECODER_LAYERS[name]):
        for place, part in enumerate(["SelfAttention", "EncDecAttention"]):
            layer = f"decoder.block.{at}.layer.{place}"
            for matrix in ("q", "k", "v"):
                made[f"{layer}.{part}.{matrix}.weight"] = (wide, FEATURES)
            made[f"{layer}.{part}.o.weight"] = (FEATURES, wide)
            made[f"{layer}.layer_norm.weight"] = (FEATURES,)
        if at == 0:
            bias = "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
            made[bias] = (BUCKETS, HEADS)
        layer = f"decoder.block.{at}.layer.2"
        for part in ("wi",) if name == "t5-relu" else ("wi_0", "wi_1"):
            made[f"{layer}.DenseReluDense.{part}.weight"] = (INNER, FEATURES)
        made[f"{layer}.DenseReluDense.wo.weight"] = (FEATURES, INNER)
        made[f"{layer}.layer_norm.weight"] = (FEATURES,)
    made["decoder.final_layer_norm.weight"] = (FEATURES,)
    if not TIED[name]:
        made["lm_head.weight"] = (VOCABULARY, FEATURES)
    return made


def _made(name: str) -> dict[str, Array]:
    return weights(shapes(name), spread=encoder.SPREAD)


def write(
    name: str,
    path: Path,
    dtype: str = "F32",
    *,
    via: str | None = None,
    end: int = END,
    **keys: Any,
) -> None:
    """Writes a GGUF file with matrices in `dtype`, rounded to the type `via`, and more keys; `end` ends texts."""
    writer = gguf.GGUFWriter(path, "t5")
    encoder.describe_pieces(writer, end)
    written = {
        "block_count": LAYERS,
        "context_length": T5_CONTEXT,
        "embedding_length": FEATURES,
        "feed_forward_length": INNER,
        "attention.head_count": HEADS,
        "attention.key_length": SIZE,
        "attention.value_length": SIZE,
        "attention.relative_buckets_count": BUCKETS,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "decoder_start_token_id": START,
    }
    if DECODER_LAYERS[name] != LAYERS:
        written["decoder_block_count"] = DECODER_LAYERS[name]
    write_keys(writer, "t5", {**written, **keys})
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5, LAYERS)
    wanted = gguf.GGMLQuantizationType[dtype]
    for theirs, weight in _made(name).items():
        ours = names.get_name(theirs, try_suffixes=(".weight",))
        if ours is None:
            raise ValueError(f"no name for {theirs}")
        if weight.ndim > 1 and "rel_b" not in ours:
            if via is not None:
                kind = gguf.GGMLQuantizationType[via]
                weight = gguf.quants.dequantize(gguf.quants.quantize(weight, kind), kind)
            writer.add_tensor(ours, gguf.quants.quantize(weight, wanted), raw_dtype=wanted)
        else:
            writer.add_tensor(ours, weight)
    finish(writer)


def folder_config(name: str, **settings: Any) -> dict[str, Any]:
    """`config.json`."""
    head = {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}
    return {**head, **config(name), **settings}


def save(name: str, folder: Path, more: Mapping[str, Array] | None = None, **settings: Any) -> None:
    """Writes a folder, with weights and settings added."""
    write_folder(folder_config(name, **settings), {**_made(name), **(more or {})}, folder, 2)
    encoder.write_pieces(folder)


@dataclass
class Told:
    """What transformers says: the logits at [`PLACES`] of [`ANSWER`] to the longest prompt, the likeliest tokens of
    an answer of its own to every one of [`PROMPTS`], and how far each was ahead of the next one."""

    logits: NDArray[np.float64]
    greedy: NDArray[np.int64]
    ahead: NDArray[np.float64]


def told(name: str) -> Told:
    """What transformers says, as stored."""
    from .golden import FOLDER

    with np.load(FOLDER / "both_halves.npz") as arrays:
        parts = [arrays[f"{name}.{part}"] for part in ("logits", "greedy", "ahead")]
    return Told(parts[0].astype(np.float64), parts[1].astype(np.int64), parts[2].astype(np.float64))
