#!/usr/bin/env python3
"""Writes a trained model as a HuggingFace folder and as GGUF files.

    python tests/demo/export.py FOLDER/SHAPE [--type Q8_0 …]

FOLDER/SHAPE is what train.py filled. Makes FOLDER/SHAPE/hf and FOLDER/SHAPE/NAME-TYPE.gguf.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from train import SPECIAL

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OUTER_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
}
LICENCE_NOTE = "Trained on WordNet 3.0, the Jargon File and the Python documentation; see tests/demo/README.md."


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--type", nargs="*", default=["F32", "F16", "Q8_0"])
    arguments = parser.parse_args()
    folder = arguments.folder
    weights = {
        name: value.float().cpu() for name, value in torch.load(folder / "weights.pt").items()
    }
    shape = json.loads((folder / "shape.json").read_text())
    write_huggingface(folder / "hf", weights, shape, folder / "tokenizer.json")
    for type_name in arguments.type:
        write_gguf(
            folder / f"{folder.name}-{type_name}.gguf",
            weights,
            shape,
            folder / "tokenizer.json",
            type_name,
        )
    return 0


def write_huggingface(
    folder: Path, weights: dict[str, torch.Tensor], shape: dict, tokenizer: Path
) -> None:
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape["vocabulary"],
        "hidden_size": shape["width"],
        "intermediate_size": shape["feed_forward"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["key_value_heads"],
        "max_position_embeddings": shape["context"],
        "rope_theta": shape["rope_base"],
        "rms_norm_eps": shape["epsilon"],
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": 0,
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    (folder / "tokenizer.json").write_text(tokenizer.read_text())
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": SPECIAL[0],
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))


def write_gguf(
    path: Path, weights: dict[str, torch.Tensor], shape: dict, tokenizer: Path, type_name: str
) -> None:
    kind = gguf.GGMLQuantizationType[type_name]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"remuda {path.stem}")
    writer.add_description(f"A toy. {LICENCE_NOTE}")
    writer.add_file_type(
        gguf.LlamaFileType[{"F32": "ALL_F32"}.get(type_name, f"MOSTLY_{type_name}")]
    )
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(shape["width"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["feed_forward"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["key_value_heads"])
    writer.add_rope_dimension_count(shape["width"] // shape["heads"])
    writer.add_rope_freq_base(shape["rope_base"])
    writer.add_layer_norm_rms_eps(shape["epsilon"])
    writer.add_vocab_size(shape["vocabulary"])
    add_tokenizer(writer, json.loads(tokenizer.read_text()))
    for name, value in weights.items():
        array = llama_rows(name, value.numpy(), shape)
        stored = gguf.GGMLQuantizationType.F32 if array.ndim == 1 else kind
        writer.add_tensor(gguf_name(name), gguf.quantize(array, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: dict) -> None:
    vocabulary = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([control if token in SPECIAL else normal for token, _ in vocabulary])
    merges = tokenizer["model"]["merges"]
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    )
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def gguf_name(name: str) -> str:
    if name in OUTER_NAMES:
        return OUTER_NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{LAYER_NAMES[rest.removesuffix('.weight')]}.weight"


def llama_rows(name: str, array: np.ndarray, shape: dict) -> np.ndarray:
    """Rows of queries and keys in the order that GGUF's llama wants: the two of a rotated pair side by side."""
    heads = {"q_proj": shape["heads"], "k_proj": shape["key_value_heads"]}
    for projection, count in heads.items():
        if projection in name:
            return array.reshape(count, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
    return array


if __name__ == "__main__":
    sys.exit(main())
