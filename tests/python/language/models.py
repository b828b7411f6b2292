"""One small model per architecture: the transformers configuration, and what GGUF says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]

VOCABULARY = 320
FEATURES = 256
HEADS = 4
KV_HEADS = 2
LAYERS = 3
INNER = 512
CONTEXT = 512


def neighbours(weight: Array, heads: int) -> Array:
    """Rows of a head in the order in which neighbouring elements are turned together."""
    rows = weight.shape[0]
    halves = weight.reshape(heads, 2, rows // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def apart(weight: Array, heads: int) -> Array:
    """Queries, keys and values one after the other, which transformers keeps head by head."""
    parts = weight.reshape(heads, 3, weight.shape[0] // heads // 3, *weight.shape[1:])
    return parts.swapaxes(0, 1).reshape(weight.shape)


@dataclass
class Case:
    """A model: its names on both sides, its configuration, and how weights change on the way."""

    arch: str
    config: str
    options: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    change: Callable[[str, Array], Array] = lambda name, weight: weight
    tensors: dict[str, Array] = field(default_factory=dict)


def _llama(name: str, weight: Array) -> Array:
    if name.endswith("attn_q.weight"):
        return neighbours(weight, HEADS)
    if name.endswith("attn_k.weight"):
        return neighbours(weight, KV_HEADS)
    return weight


def _gemma(name: str, weight: Array) -> Array:
    return weight + 1 if name.endswith("norm.weight") else weight


def _gpt2(name: str, weight: Array) -> Array:
    linear = ("attn_qkv.weight", "attn_output.weight", "ffn_up.weight", "ffn_down.weight")
    return weight.T if name.endswith(linear) else weight


def _neox(name: str, weight: Array) -> Array:
    return apart(weight, HEADS) if "attn_qkv" in name else weight


def _falcon(groups: int) -> Callable[[str, Array], Array]:
    """Queries, keys and values one after the other, which transformers keeps by groups of heads that share the
    last two."""

    def change(name: str, weight: Array) -> Array:
        if "attn_qkv" not in name:
            return weight
        parts = weight.reshape(groups, HEADS // groups + 2, FEATURES // HEADS, FEATURES)
        apart = parts[:, :-2], parts[:, -2:-1], parts[:, -1:]
        return np.concatenate([part.reshape(-1, FEATURES) for part in apart])

    return change


COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": FEATURES,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "intermediate_size": INNER,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
}

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def llama3_divisors(size: int, base: float) -> Array:
    """What Llama 3's scaling divides each frequency by."""
    divisors = []
    for pair in range(0, size, 2):
        length = 2 * np.pi * base ** (pair / size)
        smooth = (LLAMA3["original_max_position_embeddings"] / length - 1.0) / 3.0
        divisors.append(1 / ((1 - min(max(smooth, 0), 1)) / 8 + min(max(smooth, 0), 1)))
    return np.array(divisors, dtype=np.float32)


CASES: dict[str, Case] = {
    "llama": Case("llama", "Llama", change=_llama),
    "llama-tied": Case("llama", "Llama", {"tie_word_embeddings": True}, change=_llama),
    "llama-linear": Case(
        "llama",
        "Llama",
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
        {"rope.scaling.type": "linear", "rope.scaling.factor": 2.0},
        _llama,
    ),
    "llama-yarn": Case(
        "llama",
        "Llama",
        {"rope_scaling": YARN},
        {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": 4.0,
            # transformers 4.46 takes the whole context for the original one
            "rope.scaling.original_context_length": CONTEXT,
        },
        _llama,
    ),
    "llama3": Case(
        "llama",
        "Llama",
        {"rope_scaling": LLAMA3},
        change=_llama,
        tensors={"rope_freqs.weight": llama3_divisors(FEATURES // HEADS, 10_000.0)},
    ),
    "mixtral": Case(
        "llama",
        "Mixtral",
        {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None},
        {"expert_count": 4, "expert_used_count": 2},
        _llama,
    ),
    "qwen2": Case("qwen2", "Qwen2"),
    "qwen2moe": Case(
        "qwen2moe",
        "Qwen2Moe",
        {
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": INNER,
            "shared_expert_intermediate_size": FEATURES,
        },
        {
            "expert_count": 4,
            "expert_used_count": 2,
            "expert_feed_forward_length": INNER,
            "expert_shared_feed_forward_length": FEATURES,
        },
    ),
    "gemma2": Case(
        "gemma2",
        "Gemma2",
        {
            "head_dim": 64,
            "query_pre_attn_scalar": 64,
            "sliding_window": 48,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 3.0,
            "hidden_activation": "gelu_pytorch_tanh",
        },
        {
            "attention.key_length": 64,
            "attention.value_length": 64,
            "attention.sliding_window": 48,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 3.0,
        },
        _gemma,
    ),
    "phi3": Case("phi3", "Phi3", {"sliding_window": None}),
    "granite": Case(
        "granite",
        "Granite",
        {
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.5,
            "attention_multiplier": 0.2,
            "logits_scaling": 2.0,
        },
        {
            "embedding_scale": 3.0,
            "residual_scale": 0.5,
            "attention.scale": 0.2,
            "logit_scale": 2.0,
        },
        _llama,
    ),
    "starcoder2": Case("starcoder2", "Starcoder2", {"use_bias": True, "sliding_window": None}),
    "gpt2": Case(
        "gpt2",
        "GPT2",
        {
            "n_embd": FEATURES,
            "n_layer": LAYERS,
            "n_head": HEADS,
            "n_inner": INNER,
            "n_positions": CONTEXT,
        },
        {"attention.head_count_kv": HEADS},
        _gpt2,
    ),
    "gptneox": Case(
        "gptneox",
        "GPTNeoX",
        {"rotary_pct": 0.25},
        {
            "rope.dimension_count": 16,
            "attention.head_count_kv": HEADS,
            "use_parallel_residual": True,
        },
        _neox,
    ),
    "gptneox-serial": Case(
        "gptneox",
        "GPTNeoX",
        {
            "rotary_pct": 0.5,
            "rotary_emb_base": 5000,
            "use_parallel_residual": False,
            "rope_scaling": {"type": "linear", "factor": 2.0},
        },
        {
            "rope.dimension_count": 32,
            "attention.head_count_kv": HEADS,
            "use_parallel_residual": False,
            "rope.scaling.type": "linear",
            "rope.scaling.factor": 2.0,
        },
        _neox,
    ),
    "falcon-multi-query": Case(
        "falcon",
        "Falcon",
        {"ffn_hidden_size": INNER},
        {"attention.head_count_kv": 1},
        _falcon(1),
    ),
    "falcon-heads": Case(
        "falcon",
        "Falcon",
        {"ffn_hidden_size": INNER, "multi_query": False, "tie_word_embeddings": False},
        {"attention.head_count_kv": HEADS},
        _falcon(HEADS),
    ),
    "falcon-groups": Case(
        "falcon",
        "Falcon",
        {"ffn_hidden_size": INNER, "new_decoder_architecture": True, "num_kv_heads": KV_HEADS},
        change=_falcon(KV_HEADS),
    ),
    "falcon-one-norm": Case(
        "falcon",
        "Falcon",
        {
            "ffn_hidden_size": INNER,
            "new_decoder_architecture": True,
            "num_kv_heads": KV_HEADS,
            "num_ln_in_parallel_attn": 1,
        },
        change=_falcon(KV_HEADS),
    ),
}
