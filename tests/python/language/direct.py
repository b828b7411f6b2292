"""Small models of architectures that the pinned transformers does not have, written straight into GGUF files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from . import models
from .text import describe_text

HEAD = models.FEATURES // models.HEADS
KV = models.KV_HEADS * HEAD
F, INNER = models.FEATURES, models.INNER

NORMS = {"attn_norm": [F], "ffn_norm": [F]}
ATTENTION = {"attn_q": [F, F], "attn_k": [KV, F], "attn_v": [KV, F], "attn_output": [F, F]}
GATED = {"ffn_gate": [INNER, F], "ffn_up": [INNER, F], "ffn_down": [F, INNER]}
HEAD_NORMS = {"attn_q_norm": [HEAD], "attn_k_norm": [HEAD]}
POST_NORMS = {"post_attention_norm": [F], "post_ffw_norm": [F]}


@dataclass
class Direct:
    """A model: what every layer has, and what the metadata says beside the sizes."""

    layer: dict[str, list[int]]
    keys: dict[str, Any] = field(default_factory=dict)
    layers: int = models.LAYERS
    tied: bool = False
    layer_norm: bool = False
    arch: str = ""
    # Of layers in front, if they have others.
    first: dict[int, dict[str, list[int]]] = field(default_factory=dict)


EXPERTS = 4
MIXTURE = {
    "ffn_gate_inp": [EXPERTS, F],
    "ffn_gate_exps": [EXPERTS, INNER, F],
    "ffn_up_exps": [EXPERTS, INNER, F],
    "ffn_down_exps": [EXPERTS, F, INNER],
}
MANY = 8
MANY_EXPERTS = {name: [MANY, *shape[1:]] for name, shape in MIXTURE.items()}
MIXES = {"expert_count": EXPERTS, "expert_used_count": 2}

# Latent attention: features of the rows, elements of a head that are turned and not, and of its values.
Q_ROW, ROW, TURNED, PLAIN, VALUE = 96, 64, 32, 48, 64
LATENT = {
    **NORMS,
    "attn_q_a": [Q_ROW, F],
    "attn_q_a_norm": [Q_ROW],
    "attn_q_b": [models.HEADS * (PLAIN + TURNED), Q_ROW],
    "attn_kv_a_mqa": [ROW + TURNED, F],
    "attn_kv_a_norm": [ROW],
    "attn_output": [F, models.HEADS * VALUE],
}
OLD_LATENT = {**LATENT, "attn_kv_b": [models.HEADS * (PLAIN + VALUE), ROW]}
NEW_LATENT = {
    **LATENT,
    "attn_k_b": [models.HEADS, ROW, PLAIN],
    "attn_v_b": [models.HEADS, VALUE, ROW],
}
SHARED = {
    "ffn_gate_shexp": [2 * INNER, F],
    "ffn_up_shexp": [2 * INNER, F],
    "ffn_down_shexp": [F, 2 * INNER],
}
LATENT_KEYS = {
    **MIXES,
    "expert_shared_count": 2,
    "expert_feed_forward_length": INNER,
    "leading_dense_block_count": 1,
    "attention.q_lora_rank": Q_ROW,
    "attention.kv_lora_rank": ROW,
    "rope.dimension_count": TURNED,
}
# The keys of the third version, whose keys and values are projected by two tensors.
NEW_LATENT_KEYS = {
    **LATENT_KEYS,
    "attention.head_count_kv": 1,
    "attention.key_length": ROW + TURNED,
    "attention.value_length": ROW,
    "attention.key_length_mla": PLAIN + TURNED,
    "attention.value_length_mla": VALUE,
    "expert_weights_scale": 2.5,
    "expert_weights_norm": True,
    "expert_gating_func": 2,
}

CASES = {
    "llama": Direct({**NORMS, **ATTENTION, **GATED}),
    "deepseek2": Direct(
        {**OLD_LATENT, **MIXTURE, **SHARED},
        {
            **LATENT_KEYS,
            "attention.head_count_kv": models.HEADS,
            "attention.key_length": PLAIN + TURNED,
            "attention.value_length": VALUE,
            "expert_weights_scale": 1.5,
            "expert_gating_func": 1,
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": 4.0,
            "rope.scaling.original_context_length": models.CONTEXT // 4,
            "rope.scaling.yarn_log_multiplier": 0.07,
        },
        first={0: {**OLD_LATENT, **GATED}},
    ),
    "deepseek3": Direct(
        {**NEW_LATENT, **MIXTURE, **SHARED, "exp_probs_b": [EXPERTS]},
        NEW_LATENT_KEYS,
        arch="deepseek2",
        first={0: {**NEW_LATENT, **GATED}},
    ),
    "deepseek3-groups": Direct(
        {**NEW_LATENT, **MANY_EXPERTS, **SHARED, "exp_probs_b": [MANY]},
        {
            **NEW_LATENT_KEYS,
            "expert_count": MANY,
            "expert_used_count": 3,
            "expert_group_count": 4,
            "expert_group_used_count": 2,
        },
        arch="deepseek2",
        first={0: {**NEW_LATENT, **GATED}},
    ),
    "qwen3moe": Direct(
        {**NORMS, **ATTENTION, **HEAD_NORMS, **MIXTURE},
        {**MIXES, "attention.key_length": HEAD, "expert_feed_forward_length": INNER},
    ),
    "qwen3": Direct({**NORMS, **ATTENTION, **HEAD_NORMS, **GATED}, {"attention.key_length": HEAD}),
    "olmo2": Direct({**ATTENTION, "attn_q_norm": [F], "attn_k_norm": [KV], **POST_NORMS, **GATED}),
    "gemma3": Direct(
        {**NORMS, **ATTENTION, **HEAD_NORMS, **POST_NORMS, **GATED},
        {
            "attention.key_length": HEAD,
            "attention.value_length": HEAD,
            "attention.sliding_window": 48,
            "rope.freq_base": 1_000_000.0,
        },
        layers=7,
        tied=True,
    ),
    "falcon": Direct(
        {
            "attn_norm": [F],
            "attn_qkv": [F + 2 * KV, F],
            "attn_output": [F, F],
            "ffn_up": [INNER, F],
            "ffn_down": [F, INNER],
        },
        layer_norm=True,
    ),
}


def _tensors(case: Direct) -> dict[str, list[int]]:
    shapes = {"token_embd.weight": [models.VOCABULARY, F], "output_norm.weight": [F]}
    if not case.tied:
        shapes["output.weight"] = [models.VOCABULARY, F]
    if case.layer_norm:
        shapes["output_norm.bias"] = [F]
    for at in range(case.layers):
        for name, shape in case.first.get(at, case.layer).items():
            shapes[f"blk.{at}.{name}.weight"] = shape
            if name == "exp_probs_b":
                del shapes[f"blk.{at}.{name}.weight"]
                shapes[f"blk.{at}.{name}.bias"] = shape
            if case.layer_norm and name.endswith("norm"):
                shapes[f"blk.{at}.{name}.bias"] = shape
    return shapes


def write(name: str, path: Path, dtype: str = "F32", *, text: bool = False) -> None:
    """Writes the model with seeded weights; matrices in `dtype`. With `text` it has a vocabulary."""
    case = CASES[name]
    arch = case.arch or name
    epsilon = "layer_norm_epsilon" if case.layer_norm else "layer_norm_rms_epsilon"
    keys: dict[str, Any] = {
        "block_count": case.layers,
        "context_length": models.CONTEXT,
        "embedding_length": F,
        "feed_forward_length": INNER,
        "attention.head_count": models.HEADS,
        "attention.head_count_kv": models.KV_HEADS,
        f"attention.{epsilon}": 1e-5,
        "vocab_size": models.VOCABULARY,
        **case.keys,
    }
    writer = gguf.GGUFWriter(path, arch)
    if text:
        describe_text(writer)
    else:
        writer.add_string("tokenizer.ggml.model", "no_vocab")
    for key, value in keys.items():
        kind = gguf.GGUFValueType.UINT32 if isinstance(value, int) else gguf.GGUFValueType.FLOAT32
        if isinstance(value, str):
            writer.add_string(f"{arch}.{key}", value)
            continue
        if isinstance(value, bool):
            kind = gguf.GGUFValueType.BOOL
        writer.add_key_value(f"{arch}.{key}", value, kind)
    random = np.random.default_rng(7)
    wanted = gguf.GGMLQuantizationType[dtype]
    for name, shape in _tensors(case).items():
        # Routers are kept in full.
        weight = random.normal(0.0, 0.08, shape).astype(np.float32)
        if name.endswith("norm.weight"):
            weight += 1
        if weight.ndim > 1 and "gate_inp" not in name:
            writer.add_tensor(name, gguf.quants.quantize(weight, wanted), raw_dtype=wanted)
        else:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
