"""Small models of architectures that the pinned transformers does not have, written straight into GGUF files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from . import models
from .files import write_folder
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


def _weights(case: Direct) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Seeded weights."""
    random = np.random.default_rng(7)
    made = {}
    for name, shape in _tensors(case).items():
        made[name] = random.normal(0.0, 0.08, shape).astype(np.float32)
        if name.endswith("norm.weight"):
            made[name] += 1
    return made


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
    wanted = gguf.GGMLQuantizationType[dtype]
    for name, weight in _weights(case).items():
        # Routers are kept in full.
        if weight.ndim > 1 and "gate_inp" not in name:
            writer.add_tensor(name, gguf.quants.quantize(weight, wanted), raw_dtype=wanted)
        else:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# Names of a layer's parts in folders.
THEIRS = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_q_a": "self_attn.q_a_proj",
    "attn_q_a_norm": "self_attn.q_a_layernorm",
    "attn_q_b": "self_attn.q_b_proj",
    "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
    "attn_kv_a_norm": "self_attn.kv_a_layernorm",
    "attn_kv_b": "self_attn.kv_b_proj",
    "ffn_gate_inp": "mlp.gate",
    **{f"ffn_{part}": f"mlp.{part}_proj" for part in ("gate", "up", "down")},
    **{f"ffn_{part}_shexp": f"mlp.shared_experts.{part}_proj" for part in ("gate", "up", "down")},
}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}

MIXTURES: dict[str, dict[str, Any]] = {
    "qwen3moe": {
        "model_type": "qwen3_moe",
        "head_dim": HEAD,
        "num_experts": EXPERTS,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": INNER,
        "norm_topk_prob": True,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
    },
    "deepseek2": {
        "model_type": "deepseek_v2",
        "n_routed_experts": EXPERTS,
        "n_shared_experts": 2,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": INNER,
        "first_k_dense_replace": 1,
        "moe_layer_freq": 1,
        "norm_topk_prob": False,
        "routed_scaling_factor": 1.5,
        "scoring_func": "softmax",
        "topk_method": "greedy",
        "num_key_value_heads": models.HEADS,
        "q_lora_rank": Q_ROW,
        "kv_lora_rank": ROW,
        "qk_nope_head_dim": PLAIN,
        "qk_rope_head_dim": TURNED,
        "v_head_dim": VALUE,
        "rope_scaling": {
            "type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": models.CONTEXT // 4,
            "mscale": 0.7,
            "mscale_all_dim": 0.7,
            "beta_fast": 32,
            "beta_slow": 1,
        },
    },
    "deepseek3-groups": {
        "model_type": "deepseek_v3",
        "n_routed_experts": MANY,
        "n_shared_experts": 2,
        "num_experts_per_tok": 3,
        "n_group": 4,
        "topk_group": 2,
        "moe_intermediate_size": INNER,
        "first_k_dense_replace": 1,
        "moe_layer_freq": 1,
        "norm_topk_prob": True,
        "routed_scaling_factor": 2.5,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "num_key_value_heads": models.HEADS,
        "q_lora_rank": Q_ROW,
        "kv_lora_rank": ROW,
        "qk_nope_head_dim": PLAIN,
        "qk_rope_head_dim": TURNED,
        "v_head_dim": VALUE,
    },
}


def write_mixture_folder(name: str, folder: Path, files: int = 1) -> None:
    """Writes a model with experts as a folder, each expert's matrices apart: the same weights as in its file."""
    config: dict[str, Any] = {
        "num_hidden_layers": CASES[name].layers,
        "max_position_embeddings": models.CONTEXT,
        "hidden_size": F,
        "intermediate_size": INNER,
        "num_attention_heads": models.HEADS,
        "num_key_value_heads": models.KV_HEADS,
        "rms_norm_eps": 1e-5,
        "vocab_size": models.VOCABULARY,
        "tie_word_embeddings": False,
        **MIXTURES[name],
    }
    made = _weights(CASES[name])
    # Folders have one matrix for keys and values where newer files have each head's apart, keys transposed.
    for keys in [key for key in made if key.endswith("attn_k_b.weight")]:
        values = made.pop(keys.replace("attn_k_b", "attn_v_b"))
        both = np.concatenate([made.pop(keys).swapaxes(1, 2), values], axis=1)
        made[keys.replace("attn_k_b", "attn_kv_b")] = both.reshape(-1, ROW)
    named = {}
    for ours, weight in made.items():
        *layer, part, _ = ours.split(".")
        if not layer:
            named[f"{WHOLE[part]}.weight"] = weight
            continue
        layer_name = f"model.layers.{layer[1]}"
        if part == "exp_probs_b":
            named[f"{layer_name}.mlp.gate.e_score_correction_bias"] = weight
        elif part.endswith("_exps"):
            matrix = part.removeprefix("ffn_").removesuffix("_exps")
            for number, one in enumerate(weight):
                named[f"{layer_name}.mlp.experts.{number}.{matrix}_proj.weight"] = one
        else:
            named[f"{layer_name}.{THEIRS[part]}.weight"] = weight
    write_folder(config, named, folder, files)
