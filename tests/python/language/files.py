"""Writes a model of transformers as a GGUF file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers

from . import models
from .models import Case


def build(case: Case, seed: int = 1) -> Any:
    """A model with seeded random weights, large enough that answers differ."""
    torch.manual_seed(seed)
    config_class = getattr(transformers, f"{case.config}Config")
    config = config_class(**{**models.COMMON, **case.options})
    config._attn_implementation = "eager"
    model_class = getattr(transformers, f"{case.config}ForCausalLM", None)
    if model_class is None:
        model_class = getattr(transformers, f"{case.config}LMHeadModel")
    model = model_class(config).eval().float()
    model.config.use_cache = False
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.normal_(0.0, 0.08)
            elif "norm" in name or "ln_" in name:
                weight.add_(torch.randn_like(weight) * 0.1)
            else:
                weight.normal_(0.0, 0.1)
    return model


def _keys(writer: gguf.GGUFWriter, case: Case, config: Any) -> None:
    keys: dict[str, Any] = {
        "block_count": models.LAYERS,
        "context_length": models.CONTEXT,
        "embedding_length": models.FEATURES,
        "feed_forward_length": models.INNER,
        "attention.head_count": models.HEADS,
        "attention.head_count_kv": models.KV_HEADS,
        "rope.dimension_count": models.FEATURES // models.HEADS,
        "vocab_size": models.VOCABULARY,
    }
    rms = getattr(config, "rms_norm_eps", None)
    if rms is not None:
        keys["attention.layer_norm_rms_epsilon"] = float(rms)
    else:
        named = ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")
        epsilon = next(getattr(config, name) for name in named if hasattr(config, name))
        keys["attention.layer_norm_epsilon"] = float(epsilon)
    base = getattr(config, "rope_theta", None) or getattr(config, "rotary_emb_base", None)
    if base is not None:
        keys["rope.freq_base"] = float(base)
    for key, value in {**keys, **case.keys}.items():
        name = f"{case.arch}.{key}"
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        else:
            writer.add_string(name, value)


def _weights(model: Any) -> dict[str, Any]:
    """The weights by their names there; matrices of experts in one, as GGUF keeps them."""
    weights: dict[str, Any] = {}
    experts: dict[str, dict[int, Any]] = {}
    for name, tensor in model.state_dict().items():
        of_expert = re.fullmatch(r"(.*)block_sparse_moe\.experts\.(\d+)\.(.*)", name)
        if of_expert is None:
            weights[name] = tensor
            continue
        layer, number, matrix = of_expert.groups()
        merged = f"{layer.removeprefix('model.')}feed_forward.experts.{matrix}"
        experts.setdefault(merged, {})[int(number)] = tensor
    for name, matrices in experts.items():
        weights[name] = torch.stack([matrices[number] for number in sorted(matrices)])
    return weights


def write(case: Case, model: Any, path: Path, dtype: str = "F32") -> None:
    """Writes the model with matrices in `dtype`; vectors stay f32."""
    writer = gguf.GGUFWriter(path, case.arch)
    writer.add_string("tokenizer.ggml.model", "no_vocab")
    _keys(writer, case, model.config)
    arch = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == case.arch)
    names = gguf.get_tensor_name_map(arch, models.LAYERS)
    wanted = gguf.GGMLQuantizationType[dtype]
    tied = bool(model.config.tie_word_embeddings)
    tensors = dict(case.tensors)
    for hf_name, tensor in _weights(model).items():
        if hf_name.endswith((".attn.bias", ".masked_bias", ".inv_freq")):
            continue
        if hf_name == "lm_head.weight" and tied:
            continue
        name = names.get_name(hf_name, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ValueError(f"no name for {hf_name}")
        tensors[name] = case.change(name, tensor.numpy().astype(np.float32))
    for name, weight in tensors.items():
        weight = np.ascontiguousarray(weight)
        if weight.ndim > 1 and name != "position_embd.weight" and "gate_inp" not in name:
            writer.add_tensor(name, gguf.quants.quantize(weight, wanted), raw_dtype=wanted)
        else:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
