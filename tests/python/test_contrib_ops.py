"""Operators of com.microsoft against ONNX Runtime's own kernels, on models of one node with random data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sessions import open_onnxruntime, open_session

U8, I8, F32 = np.uint8, np.int8, np.float32


@dataclass
class Case:
    """A node: its inputs in order (None where one is left out) and how far results may lie apart.

    `steps` bounds integers, in units; `largest` bounds floats, relative to the greatest magnitude.
    """

    op: str
    inputs: list[np.ndarray | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    domain: str = "com.microsoft"
    steps: int = 1
    largest: float = 1e-5
    # The inputs that stay inputs; the others are initializers, as in exported models.
    fed: int = 1
    packed: dict[int, int] = field(default_factory=dict)


def integers(rng: np.random.Generator, dtype: Any, *shape: int) -> np.ndarray:
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)


def reals(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(F32)


def scale(value: float) -> np.ndarray:
    return np.array(value, F32)


def quantized_gemm(rng: np.random.Generator) -> dict[str, Case]:
    a, b = integers(rng, U8, 5, 7), integers(rng, I8, 7, 6)
    zero_a, zero_b = np.array(120, U8), np.array(3, I8)
    columns, zeros = np.abs(reals(rng, 6)) / 50 + F32(0.001), np.zeros(6, I8)
    bias = rng.integers(-5000, 5000, 6).astype(np.int32)
    plain = [a, scale(0.02), zero_a, b, scale(0.01), zero_b]
    by_column = [a, scale(0.02), zero_a, b, columns, zeros, bias, scale(0.5), np.array(128, U8)]
    turned = [a.T.copy(), scale(0.02), zero_a, b.T.copy(), scale(0.01), zero_b, bias]
    return {
        "plain": Case("QGemm", plain),
        "by-column": Case("QGemm", by_column),
        "transposed": Case("QGemm", turned, {"transA": 1, "transB": 1, "alpha": 0.5}),
    }


def quantized_attention(rng: np.random.Generator) -> dict[str, Case]:
    batch, length, heads, size = 2, 5, 3, 4
    width = heads * size
    data = [integers(rng, U8, batch, length, width), integers(rng, I8, width, 3 * width)]
    bias = reals(rng, 3 * width)
    scales = [scale(0.01), scale(0.01)]
    zeros = [np.array(128, U8), np.array(0, I8)]
    mask = (np.arange(length) < np.array([[5], [3]])).astype(np.int32)
    by_column = np.abs(reals(rng, 3 * width)) / 100 + F32(0.001)
    column_zeros = np.zeros(3 * width, I8)
    return {
        "plain": Case("QAttention", [*data, bias, *scales, None, *zeros], {"num_heads": heads}),
        "masked": Case("QAttention", [*data, bias, *scales, mask, *zeros], {"num_heads": heads}),
        "causal": Case(
            "QAttention",
            [*data, bias, *scales, None, *zeros],
            {"num_heads": heads, "unidirectional": 1},
        ),
        "by-column": Case(
            "QAttention",
            [*data, bias, scale(0.01), by_column, None, zeros[0], column_zeros],
            {"num_heads": heads},
        ),
    }


def quantized_lstm(rng: np.random.Generator) -> dict[str, Case]:
    length, size, hidden = 6, 5, 8

    def case(directions: int, by_row: bool, batch: int, largest: float) -> Case:
        rows = (directions, 4 * hidden) if by_row else (directions,)

        def weights(inner: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            stored = integers(rng, I8, directions, inner, 4 * hidden)
            scales = (np.abs(rng.standard_normal(rows)) / 300 + 0.002).astype(F32)
            return stored, scales, np.zeros(rows, I8)

        (w, w_scale, w_zero), (r, r_scale, r_zero) = weights(size), weights(hidden)
        bias = reals(rng, directions, 8 * hidden) / 10
        states = [reals(rng, directions, batch, hidden) / 2 for _ in range(2)]
        inputs = [reals(rng, length, batch, size), w, r, bias, None, *states, None]
        attributes = {
            "hidden_size": hidden,
            "direction": "bidirectional" if directions == 2 else "forward",
        }
        parameters = [w_scale, w_zero, r_scale, r_zero]
        return Case(
            "DynamicQuantizeLSTM", [*inputs, *parameters], attributes, outputs=3, largest=largest
        )

    return {
        # The state of one sequence is quantised as ONNX Runtime does it.
        "one": case(1, False, 1, 1e-5),
        "rows": case(1, True, 1, 1e-5),
        "both-ways": case(2, False, 1, 1e-5),
        # ONNX Runtime gives several sequences one scale, so each of 255 steps may differ.
        "batch": case(1, False, 3, 5e-3),
    }


def block_gather(rng: np.random.Generator) -> dict[str, Case]:
    rows, columns, block = 9, 64, 16
    indices = np.array([[0, 8], [3, 3]], np.int64)
    scales = reals(rng, rows, columns // block)
    packed = integers(rng, U8, rows, columns // 2)
    zeros = integers(rng, U8, rows, columns // block // 2)
    attributes = {"block_size": block, "gather_axis": 0, "quantize_axis": 1}
    signed = rng.integers(-8, 7, (rows, columns), endpoint=True).astype(np.int8)
    int4 = {0: TensorProto.INT4}
    gather = "GatherBlockQuantized"
    return {
        "bytes": Case(gather, [packed, indices, scales], attributes, fed=0),
        "zeros": Case(gather, [packed, indices, scales, zeros], attributes, fed=0),
        "int4": Case(gather, [signed, indices, scales], attributes, fed=0, packed=int4),
        "eight-bits": Case(
            gather,
            [integers(rng, U8, rows, columns), indices, scales],
            {**attributes, "bits": 8},
            fed=0,
        ),
    }


def quantized_embedding(rng: np.random.Generator) -> dict[str, Case]:
    width, words, places = 8, 30, 16
    ids = rng.integers(0, words, (2, 5)).astype(np.int32)
    segments = rng.integers(0, 2, (2, 5)).astype(np.int32)
    mask = (np.arange(5) < np.array([[5], [3]])).astype(np.int32)
    tables = [integers(rng, U8, rows, width) for rows in (words, places, 2)]
    affine = [integers(rng, U8, width) for _ in range(2)]
    scales = [scale(value) for value in (0.01, 0.02, 0.03, 0.01, 0.02)]
    zeros = [np.array(value, U8) for value in (120, 100, 128, 3, 127)]
    attributes = {"epsilon": 1e-6}
    op = "QEmbedLayerNormalization"
    full = [ids, segments, *tables, *affine, mask, *scales, *zeros]
    bare: list[np.ndarray | None] = list(full)
    for at in (1, 4, 7, 10, 15):
        bare[at] = None
    return {
        "segments": Case(op, full, attributes, outputs=2, fed=2),
        "words": Case(op, bare, attributes, outputs=2, fed=1),
    }


def others(rng: np.random.Generator) -> dict[str, Case]:
    image = integers(rng, U8, 2, 9, 8, 3)
    quantized = [integers(rng, U8, 4, 5), scale(0.02), np.array(100, U8)]
    other = [integers(rng, U8, 5), scale(0.05), np.array(7, U8)]
    choose = [integers(rng, U8, 4, 1) > 99, *quantized, *other, scale(0.04), np.array(50, U8)]
    window = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
    conv = [reals(rng, 1, 3, 8, 8), reals(rng, 4, 3, 3, 3), reals(rng, 4), reals(rng, 1, 4, 6, 6)]
    x = reals(rng, 4, 6) * 3
    by_row = [np.abs(reals(rng, 4)) / 9 + F32(0.01), integers(rng, U8, 4)]
    square = reals(rng, 2, 4, 4)
    pads = [square, np.array([0, 1, 2, 0, 0, 1], np.int64), np.array(0.5, F32)]
    grid = [reals(rng, 1, 2, 5, 4), rng.uniform(-1.2, 1.2, (1, 3, 3, 2)).astype(F32)]
    return {
        "max-pool": Case("NhwcMaxPool", [image], window, steps=0),
        "where": Case("QLinearWhere", choose, fed=2),
        "quantize": Case("QuantizeLinear", [x, *by_row], {"axis": 0}),
        "dequantize": Case("DequantizeLinear", [integers(rng, U8, 4, 6), *by_row], {"axis": 0}),
        "fused-conv": Case("FusedConv", conv, {"activation": "Relu"}),
        "fused-conv-clip": Case(
            "FusedConv", conv[:3], {"activation": "Clip", "activation_params": [0.0, 2.0]}
        ),
        "pad": Case("Pad", pads, {"mode": "constant"}),
        "grid": Case("GridSample", grid, {"mode": "bilinear", "padding_mode": "border"}),
        "trilu": Case("Trilu", [square, np.array(1, np.int64)], {"upper": 0}),
        "transposed-product": Case("TransposeMatMul", [x, x], {"transA": 1, "alpha": 0.5}),
    }


def experts(rng: np.random.Generator) -> dict[str, Case]:
    tokens, width, inner, count = 5, 32, 32, 3
    given = [reals(rng, tokens, width), reals(rng, tokens, count)]

    def layers(rows: int) -> list[np.ndarray | None]:
        return [
            reals(rng, count, rows, width),
            reals(rng, count, rows),
            reals(rng, count, width, inner),
            reals(rng, count, width),
        ]

    def packed(rows: int, bits: int, blocks: int) -> list[np.ndarray | None]:
        bias = reals(rng, count, rows)
        scales = np.abs(reals(rng, count, rows, blocks)) / 50
        return [
            integers(rng, U8, count, rows, width * bits // 8),
            scales if blocks > 1 else scales[..., 0],
            bias,
        ]

    swiglu = {
        "activation_type": "swiglu",
        "swiglu_fusion": 1,
        "activation_alpha": 1.7,
        "activation_beta": 1.0,
        "normalize_routing_weights": 1,
        "k": 2,
    }
    cases = {
        activation: Case(
            "MoE", [*given, *layers(inner)], {"k": 2, "activation_type": activation}, fed=2
        )
        for activation in ("relu", "silu", "gelu", "identity")
    }
    cases["swiglu"] = Case(
        "MoE", [*given, *layers(2 * inner)], {**swiglu, "swiglu_limit": 0.7}, fed=2
    )
    for bits, blocks in ((2, 1), (4, 1), (4, 2), (8, 1), (8, 2)):
        attributes = {"expert_weight_bits": bits, "k": 2, "activation_type": "silu"}
        if blocks > 1:
            attributes["block_size"] = width // blocks
        weights = [*packed(inner, bits, blocks), *packed(width, bits, blocks), None, None, None]
        centred = [*given, *weights]
        shape = (count, inner * bits // 8) if blocks == 1 else (count, inner, blocks * bits // 8)
        zeros = [integers(rng, U8, *shape), integers(rng, U8, *shape), None]
        routed = [*centred, None, None, None, np.abs(reals(rng, tokens, count))]
        inputs = {"": centred, "-zeros": [*centred, *zeros], "-routed": routed}
        for name, listed in inputs.items():
            normalised = {"normalize_routing_weights": int(bits == 4)}
            cases[f"{bits}-bits-{blocks}{name}"] = Case(
                "QMoE", listed, {**attributes, **normalised}, fed=2
            )
    interleaved = [*packed(2 * inner, 4, 1), *packed(width, 4, 1)]
    four_bits = {**swiglu, "expert_weight_bits": 4}
    cases["4-bits-swiglu"] = Case("QMoE", [*given, *interleaved], four_bits, fed=2)
    return cases


def smaller(rng: np.random.Generator) -> dict[str, Case]:
    rows, depth = 6, 32
    packed = [integers(rng, U8, rows * depth // 2), np.abs(reals(rng, rows * depth // 16))]
    four = {"K": depth, "N": rows, "block_size": 16}
    x, square = reals(rng, 4, depth), reals(rng, 2, 3, 3)
    text = np.array([[1, 2, 3, 1, 2], [4, 4, 4, 4, 4]], np.int64)
    image, weights = integers(rng, U8, 1, 5, 6, 2), integers(rng, I8, 3, 2, 3, 3)
    data = [image, scale(0.02), np.array(120, U8)]
    conv = [*data, weights, scale(0.01), np.array(0, I8), scale(0.1), np.array(100, U8)]
    places = np.array([[0, 1], [1, 0]], np.int64)
    return {
        "fp4": Case("MatMulBnb4", [x, *packed], {**four, "quant_type": 0}),
        "nf4": Case("MatMulBnb4", [x, *packed], {**four, "quant_type": 1}),
        "inverse": Case("Inverse", [square], largest=1e-4),
        "squared-distances": Case("CDist", [x, reals(rng, 3, depth)]),
        "distances": Case("CDist", [x, reals(rng, 3, depth)], {"metric": "euclidean"}),
        "windows": Case("UnfoldTensor", [x], {"dim": 1, "size": 5, "step": 3}),
        "no-repeats": Case("NGramRepeatBlock", [text, reals(rng, 2, 6)], {"ngram_size": 3}, fed=2),
        "axis": Case("ExpandDims", [square, np.array(-2, np.int32)]),
        "gather": Case("GatherND", [square, places]),
        "range": Case("Range", [scale(1.0), scale(4.0)], fed=2),
        "first-come": Case("Unique", [np.array([2, 1, 1, 3, 4, 3], F32)], outputs=3),
        "channels-last": Case("QLinearConv", conv, {"channels_last": 1}),
    }


MAKERS: dict[str, Callable[[np.random.Generator], dict[str, Case]]] = {
    "gemm": quantized_gemm,
    "attention": quantized_attention,
    "lstm": quantized_lstm,
    "embedding": quantized_embedding,
    "gather": block_gather,
    "others": others,
    "experts": experts,
    "smaller": smaller,
}
CASES = {
    f"{group}-{name}": case
    for group, make in MAKERS.items()
    for name, case in make(np.random.default_rng(11)).items()
}


def build(case: Case) -> onnx.ModelProto:
    names = [f"i{at}" if array is not None else "" for at, array in enumerate(case.inputs)]
    given = [(at, name, array) for at, (name, array) in enumerate(zip(names, case.inputs)) if name]
    fed = [(name, array) for at, name, array in given if at < case.fed]
    fixed = [
        helper.make_tensor(name, case.packed[at], array.shape, array.flatten())
        if at in case.packed
        else numpy_helper.from_array(array, name)
        for at, name, array in given
        if at >= case.fed
    ]
    outputs = [f"o{at}" for at in range(case.outputs)]
    node = helper.make_node(case.op, names, outputs, domain=case.domain, **case.attributes)
    graph = helper.make_graph(
        [node],
        case.op,
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in fed
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        fixed,
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(case.domain, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_results_equal_those_of_onnx_runtime(
    case: Case, engine: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "reference":
        pytest.skip("the onnx package cannot evaluate com.microsoft operators")
    # It would round the activations of 8-bit experts to bytes.
    monkeypatch.setenv("ORT_QMOE_CPU_QNBIT_GEMM", "fp32")
    path = tmp_path / "model.onnx"
    onnx.save(build(case), path)
    feeds = {
        f"i{at}": array for at, array in enumerate(case.inputs[: case.fed]) if array is not None
    }
    wanted = open_onnxruntime(path, threads=1).run(None, feeds)
    got = open_session(engine, path).run(None, feeds)
    assert len(got) == len(wanted) == case.outputs
    for mine, theirs in zip(map(np.asarray, got), wanted):
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
        finite = np.isfinite(theirs)
        np.testing.assert_array_equal(np.isfinite(mine), finite)
        mine, theirs = mine[finite], theirs[finite]
        difference = np.abs(mine.astype(np.float64) - theirs.astype(np.float64)).max()
        if theirs.dtype.kind == "f":
            assert difference <= case.largest * np.abs(theirs).max()
        else:
            assert difference <= case.steps
