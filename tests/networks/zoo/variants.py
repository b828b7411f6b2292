"""Quantised, fused and half-precision forms of the networks, made by ONNX Runtime's own tools.

They are what users bring: QDQ and QOperator int8 from static calibration, dynamic int8, 4-bit MatMulNBits, graphs
rewritten with `com.microsoft` operators by the transformer optimizer, and float16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.optimizer import optimize_model

from catalog import Entry
from inputs import feeds

Make = Callable[[Path, Path, Entry], None]


@dataclass(frozen=True)
class Variant:
    """One derived form: `make` reads the float model and writes the new one."""

    suffix: str
    precision: str
    make: Make
    packed_suffix: str = ""

    def is_packed(self, tensor_name: str) -> bool:
        return bool(self.packed_suffix) and tensor_name.endswith(self.packed_suffix)


class Calibration(CalibrationDataReader):
    """Seeded batches for the activation ranges."""

    def __init__(self, entry: Entry, batches: int = 4) -> None:
        sizes = entry.sizes[-1]
        self.batches: Iterator[dict[str, np.ndarray]] = iter(
            [feeds(entry.inputs, sizes, seed) for seed in range(100, 100 + batches)]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.batches, None)


def static_int8(
    source: Path,
    target: Path,
    entry: Entry,
    form: QuantFormat,
    per_channel: bool,
    weights: QuantType,
) -> None:
    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        target,
        Calibration(entry),
        quant_format=form,
        per_channel=per_channel,
        activation_type=QuantType.QUInt8,
        weight_type=weights,
    )


def dynamic_int8(source: Path, target: Path, entry: Entry, weights: QuantType) -> None:
    quantize_dynamic(source, target, weight_type=weights)


def four_bit(
    source: Path, target: Path, entry: Entry, block: int, symmetric: bool, level: int
) -> None:
    quantizer = MatMulNBitsQuantizer(
        onnx.load(source), block_size=block, is_symmetric=symmetric, accuracy_level=level
    )
    quantizer.process()
    onnx.save(quantizer.model.model, target)


def optimized(source: Path, target: Path, entry: Entry, before: Make | None = None) -> None:
    """What ONNX Runtime writes when asked to keep its own rewritten graph."""
    if before:
        prepared = target.with_suffix(".before.onnx")
        before(source, prepared, entry)
        source = prepared
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def fused(
    source: Path,
    target: Path,
    entry: Entry,
    kind: str,
    heads: int,
    hidden: int,
    to_half: bool = False,
) -> None:
    optimized = optimize_model(
        str(source), model_type=kind, num_heads=heads, hidden_size=hidden, opt_level=0
    )
    if to_half:
        optimized.convert_float_to_float16(keep_io_types=True)
    optimized.save_model_to_file(str(target))


def half(source: Path, target: Path, entry: Entry, float_inputs: bool) -> None:
    model = convert_float_to_float16(onnx.load(source), keep_io_types=float_inputs)
    sort_by_dependency(model.graph)
    onnx.save(model, target)


def sort_by_dependency(graph: onnx.GraphProto) -> None:
    """Puts every node behind the nodes it reads from; the converter puts its casts at the end."""
    producers = {name: node for node in graph.node for name in node.output if name}
    ordered: list[onnx.NodeProto] = []
    placed: set[int] = set()
    waiting = list(reversed(graph.node))
    while waiting:
        node = waiting[-1]
        missing = [
            producers[name]
            for name in names_read_by(node)
            if name in producers and id(producers[name]) not in placed
        ]
        if missing:
            waiting.extend(missing)
            continue
        waiting.pop()
        if id(node) not in placed:
            placed.add(id(node))
            ordered.append(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    graph.ClearField("node")
    graph.node.extend(copies)


def names_read_by(node: onnx.NodeProto) -> list[str]:
    """The node's inputs, and what the graphs inside it take from outside."""
    names = list(node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            names.extend(names_read_by(inner))
    return names


QDQ = Variant(
    "qdq",
    "int8",
    partial(static_int8, form=QuantFormat.QDQ, per_channel=True, weights=QuantType.QInt8),
)
QDQ_PER_TENSOR = Variant(
    "qdq",
    "int8",
    partial(static_int8, form=QuantFormat.QDQ, per_channel=False, weights=QuantType.QUInt8),
)
QOPERATOR = Variant(
    "qoperator",
    "int8",
    partial(static_int8, form=QuantFormat.QOperator, per_channel=True, weights=QuantType.QInt8),
)
DYNAMIC = Variant("dynamic", "int8", partial(dynamic_int8, weights=QuantType.QInt8))
DYNAMIC_UNSIGNED = Variant("dynamic", "int8", partial(dynamic_int8, weights=QuantType.QUInt8))
OPTIMIZED = Variant("optimized", "f32", optimized)
OPTIMIZED_QDQ = Variant("qdq-optimized", "int8", partial(optimized, before=QDQ.make))
OPTIMIZED_DYNAMIC = Variant(
    "dynamic-optimized", "int8", partial(optimized, before=DYNAMIC_UNSIGNED.make)
)
HALF = Variant("f16", "f16", partial(half, float_inputs=True))
HALF_THROUGHOUT = Variant("f16", "f16", partial(half, float_inputs=False))


def four_bit_variant(block: int, symmetric: bool, level: int) -> Variant:
    make = partial(four_bit, block=block, symmetric=symmetric, level=level)
    precision = "int4-int8" if level == 4 else "int4"
    return Variant("int4", precision, make, packed_suffix=f"_Q4G{block}")


def fused_variants(kind: str, heads: int, hidden: int) -> list[Variant]:
    make = partial(fused, kind=kind, heads=heads, hidden=hidden)
    return [
        Variant("fused", "f32", make),
        Variant("fused-f16", "f16", partial(make, to_half=True)),
    ]


VARIANTS: dict[str, list[Variant]] = {
    "resnet18": [QDQ, QOPERATOR, HALF, OPTIMIZED],
    "mobilenet_v3_small": [QDQ, OPTIMIZED_QDQ],
    "vit_tiny": [*fused_variants("vit", 3, 192), four_bit_variant(32, True, 0)],
    "unet": [QDQ],
    "bert_tiny": [QDQ_PER_TENSOR, DYNAMIC, HALF],
    "minilm": [
        DYNAMIC_UNSIGNED,
        OPTIMIZED_DYNAMIC,
        *fused_variants("bert", 12, 384),
        four_bit_variant(128, False, 4),
    ],
    "gpt2_tiny": [*fused_variants("gpt2", 4, 256), four_bit_variant(32, True, 4)],
    "whisper_tiny_encoder": [DYNAMIC, *fused_variants("bart", 6, 384)],
    "whisper_tiny_decoder": fused_variants("bart", 6, 384)[:1],
    "whisper_tiny_decoder_past": [four_bit_variant(32, False, 0)],
    "llama_tiny": [four_bit_variant(32, True, 4)],
    "lstm": [DYNAMIC],
}


def variants_of(name: str) -> list[Variant]:
    """The forms to derive from the network called `name`."""
    return VARIANTS.get(name, [])
