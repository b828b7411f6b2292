#!/usr/bin/env python3
"""Writes a GGUF file of the shape of Llama 3.2 1B with random weights, to time engines with.

    python tests/bench/random_llama.py Q4_K_M /tmp/1b.gguf

Weights are drawn as bytes of their format, so that a file takes seconds; its scales keep every activation in range.
What a model of these sizes costs does not depend on what its weights say. Formats are laid out as `llama-quantize`
does: the embeddings, which are the output matrix too, have six bits in files of four, and Q4_K_M mixes Q4_K and Q6_K.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

SEED = 20
# The standard deviation that trained matrices of these sizes have, about.
SPREAD = 0.02


@dataclass(frozen=True)
class Shape:
    """The sizes of a Llama."""

    layers: int = 16
    features: int = 2048
    inner: int = 8192
    heads: int = 32
    kv_heads: int = 8
    head_size: int = 64
    vocabulary: int = 128256
    context: int = 8192


def halves(value: float, count: int) -> np.ndarray:
    """A 16-bit float in every row, as bytes."""
    return np.full((count, 1), value, dtype=np.float16).view(np.uint8)


def noise(random: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Rows of random bytes."""
    return np.frombuffer(random.bytes(count * length), dtype=np.uint8).reshape(count, length)


def q4_0(random: np.random.Generator, count: int) -> np.ndarray:
    """Blocks of 32 values: a scale and nibbles around 8."""
    return np.hstack([halves(SPREAD / 4.6, count), noise(random, count, 16)])


def q8_0(random: np.random.Generator, count: int) -> np.ndarray:
    """Blocks of 32 values: a scale and signed bytes."""
    return np.hstack([halves(SPREAD / 74, count), noise(random, count, 32)])


def q4_k(random: np.random.Generator, count: int) -> np.ndarray:
    """Blocks of 256 values: two scales, twelve bytes of small scales and minima, nibbles."""
    spread = SPREAD / (4.6 * 32)
    # With equal small scales and minima in the mean, values lie around zero.
    scales = [halves(spread, count), halves(7.5 * spread, count)]
    return np.hstack([*scales, noise(random, count, 12), noise(random, count, 128)])


def q6_k(random: np.random.Generator, count: int) -> np.ndarray:
    """Blocks of 256 values: six bits in two parts, sixteen small scales, a scale."""
    small = noise(random, count, 16) & 0x3F
    return np.hstack([noise(random, count, 192), small, halves(SPREAD / (18.5 * 32), count)])


def f16(random: np.random.Generator, count: int) -> np.ndarray:
    """16-bit floats."""
    values = random.standard_normal((count, 1), dtype=np.float32) * SPREAD
    return values.astype(np.float16).view(np.uint8)


BLOCKS: dict[Type, Callable[[np.random.Generator, int], np.ndarray]] = {
    Type.Q4_0: q4_0,
    Type.Q8_0: q8_0,
    Type.Q4_K: q4_k,
    Type.Q6_K: q6_k,
    Type.F16: f16,
}


def has_more_bits(layer: int, layers: int) -> bool:
    """Whether Q4_K_M gives the values and the last product of this layer six bits."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def type_of(name: str, mix: str, layers: int) -> Type:
    """The format of a matrix in a file of this mix."""
    if mix in ("Q8_0", "Q6_K", "F16"):
        return Type[mix]
    if name == "token_embd.weight":
        return Type.Q6_K
    if mix == "Q4_0":
        return Type.Q4_0
    layer = int(name.split(".")[1])
    precious = "attn_v" in name or "ffn_down" in name
    return Type.Q6_K if precious and has_more_bits(layer, layers) else Type.Q4_K


MIXES = {"Q4_0": 2, "Q4_K_M": 15, "Q6_K": 18, "Q8_0": 7, "F16": 1}


def matrices(shape: Shape) -> dict[str, tuple[int, int]]:
    """Names and sizes of all matrices: outputs, inputs."""
    query = shape.heads * shape.head_size
    cached = shape.kv_heads * shape.head_size
    sizes = {"token_embd.weight": (shape.vocabulary, shape.features)}
    for layer in range(shape.layers):
        of_layer = {
            "attn_q": (query, shape.features),
            "attn_k": (cached, shape.features),
            "attn_v": (cached, shape.features),
            "attn_output": (shape.features, query),
            "ffn_gate": (shape.inner, shape.features),
            "ffn_up": (shape.inner, shape.features),
            "ffn_down": (shape.features, shape.inner),
        }
        sizes |= {f"blk.{layer}.{name}.weight": size for name, size in of_layer.items()}
    return sizes


def add_metadata(writer: gguf.GGUFWriter, shape: Shape, mix: str) -> None:
    """What engines want to know of a model."""
    writer.add_name(f"random weights, {mix}")
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.features)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_rope_freq_base(500000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(MIXES[mix])
    special = ["<unk>", "<s>", "</s>"]
    raw = [f"<0x{byte:02X}>" for byte in range(256)]
    words = [f"\u2581w{number}" for number in range(shape.vocabulary - len(special) - len(raw))]
    tokens = [*special, *raw, *words]
    kinds = [2, 3, 3, *[6] * len(raw), *[1] * len(words)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(number) for number in range(len(tokens))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def write(path: Path, mix: str, shape: Shape | None = None) -> None:
    """Writes the file."""
    shape = shape or Shape()
    random = np.random.default_rng(SEED)
    writer = gguf.GGUFWriter(path, "llama")
    add_metadata(writer, shape, mix)
    for name, (outputs, inputs) in matrices(shape).items():
        kind = type_of(name, mix, shape.layers)
        values, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = BLOCKS[kind](random, outputs * inputs // values)
        data = np.ascontiguousarray(blocks).reshape(outputs, inputs // values * size)
        if kind == Type.F16:
            writer.add_tensor(name, data.view(np.float16))
        else:
            writer.add_tensor(name, data, raw_dtype=kind)
    ones = np.ones(shape.features, dtype=np.float32)
    for layer in range(shape.layers):
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", ones)
        writer.add_tensor(f"blk.{layer}.ffn_norm.weight", ones)
    writer.add_tensor("output_norm.weight", ones)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("mix", choices=MIXES)
    parser.add_argument("path", type=Path)
    arguments = parser.parse_args()
    write(arguments.path, arguments.mix)


if __name__ == "__main__":
    main()
