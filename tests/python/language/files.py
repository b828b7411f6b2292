"""Writes models with seeded weights as GGUF files and as folders of transformers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from . import models
from .models import Case
from .weights import Array


def write_keys(writer: gguf.GGUFWriter, arch: str, keys: Mapping[str, Any]) -> None:
    """Adds what metadata says of an architecture, each value as what it is."""
    for key, value in keys.items():
        name = f"{arch}.{key}"
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        else:
            writer.add_string(name, value)


def finish(writer: gguf.GGUFWriter) -> None:
    """Writes what was added."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _merged(weights: Mapping[str, Array]) -> dict[str, Array]:
    """The same with matrices of experts in one, as GGUF keeps them."""
    merged: dict[str, Array] = {}
    experts: dict[str, dict[int, Array]] = {}
    for name, weight in weights.items():
        of_expert = re.fullmatch(r"(.*)\.experts\.(\d+)\.(.*)", name)
        if of_expert is None:
            merged[name] = weight
            continue
        part, number, matrix = of_expert.groups()
        if part.endswith("block_sparse_moe"):
            layer = part.removeprefix("model.").removesuffix("block_sparse_moe")
            part = f"{layer}feed_forward"
        experts.setdefault(f"{part}.experts.{matrix}", {})[int(number)] = weight
    for name, matrices in experts.items():
        merged[name] = np.stack([matrices[number] for number in sorted(matrices)])
    return merged


def write(
    case: Case,
    weights: Mapping[str, Array],
    facts: Mapping[str, float],
    path: Path,
    dtype: str = "F32",
) -> None:
    """Writes a GGUF file with matrices in `dtype`; vectors stay f32. `facts` are what transformers takes where a
    configuration does not say: `rms_epsilon` or `epsilon`, and `base` of rotary positions."""
    writer = gguf.GGUFWriter(path, case.arch)
    writer.add_string("tokenizer.ggml.model", "no_vocab")
    named = {
        "rms_epsilon": "attention.layer_norm_rms_epsilon",
        "epsilon": "attention.layer_norm_epsilon",
        "base": "rope.freq_base",
    }
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
    keys |= {named[name]: float(value) for name, value in facts.items()}
    write_keys(writer, case.arch, keys | case.keys)
    arch = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == case.arch)
    names = gguf.get_tensor_name_map(arch, models.LAYERS)
    wanted = gguf.GGMLQuantizationType[dtype]
    tensors = dict(case.tensors)
    for hf_name, weight in _merged(weights).items():
        name = names.get_name(hf_name, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ValueError(f"no name for {hf_name}")
        tensors[name] = case.change(name, weight)
    for name, weight in tensors.items():
        weight = np.ascontiguousarray(weight)
        if weight.ndim > 1 and name != "position_embd.weight" and "gate_inp" not in name:
            writer.add_tensor(name, gguf.quants.quantize(weight, wanted), raw_dtype=wanted)
        else:
            writer.add_tensor(name, weight)
    finish(writer)


TYPES = {"float32": "F32", "bool": "BOOL", "int64": "I64"}


def _safetensors(path: Path, weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, weight in weights.items():
        end = start + weight.nbytes
        offsets = [start, end]
        dtype = TYPES[weight.dtype.name]
        header[name] = {"dtype": dtype, "shape": list(weight.shape), "data_offsets": offsets}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(weight.tobytes() for weight in weights.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write_folder(
    config: Mapping[str, Any],
    weights: Mapping[str, np.ndarray[Any, Any]],
    folder: Path,
    files: int = 1,
) -> None:
    """Writes a folder as transformers saves a model, its weights in so many files."""
    (folder / "config.json").write_text(json.dumps(config))
    if files == 1:
        _safetensors(folder / "model.safetensors", weights)
        return
    names = sorted(weights)
    of_name = {}
    for at in range(files):
        file = f"model-{at + 1:05}-of-{files:05}.safetensors"
        own = names[at::files]
        _safetensors(folder / file, {name: weights[name] for name in own})
        of_name |= dict.fromkeys(own, file)
    index = {"metadata": {}, "weight_map": of_name}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
