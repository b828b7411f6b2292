"""A small Llama as model builders write it: com.microsoft operators with a key-value cache, no torch involved.

It follows the form of onnxruntime-genai's exports: SimplifiedLayerNormalization in the ONNX domain, its Skip form with
the sum as second output, GroupQueryAttention with rotary tables and a cache, and sequence lengths from the mask.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from inputs import Input
from zoo.network import Network

OPSET = 20
LAYERS = 3
HIDDEN = 256
INNER = 704
HEADS = 8
CACHED_HEADS = 2
HEAD = HIDDEN // HEADS
VOCABULARY = 8000
POSITIONS = 256
MICROSOFT = "com.microsoft"


class Builder:
    """Collects nodes and seeded weights."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(31)
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []

    def add(
        self,
        operator: str,
        inputs: list[str],
        outputs: list[str],
        domain: str = "",
        **attributes: object,
    ) -> str:
        self.nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def constant(self, name: str, array: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, name: str, *shape: int, scale: float = 1.0) -> str:
        numbers = self.rng.standard_normal(shape, np.float32) * np.float32(scale)
        return self.constant(name, numbers)

    def norm_weight(self, name: str) -> str:
        numbers = 1 + 0.2 * self.rng.standard_normal(HIDDEN, np.float32)
        return self.constant(name, numbers.astype(np.float32))

    def matmul(self, x: str, name: str, rows: int, columns: int) -> str:
        weight = self.weight(f"{name}.weight", rows, columns, scale=1.3 / np.sqrt(rows))
        return self.add("MatMul", [x, weight], [f"{name}.out"])


def lengths(b: Builder) -> None:
    """The index of the last token of each sequence, and the length of the longest, as int32."""
    b.constant("axis_1", np.array([1], np.int64))
    b.constant("one", np.array(1, np.int64))
    b.add("ReduceSum", ["attention_mask", "axis_1"], ["lengths"], keepdims=0)
    b.add("Sub", ["lengths", "one"], ["last"])
    b.add("Cast", ["last"], ["last_32"], to=TensorProto.INT32)
    b.add("Shape", ["attention_mask"], ["mask_shape"])
    b.add("Gather", ["mask_shape", "one"], ["total"], axis=0)
    b.add("Cast", ["total"], ["total_32"], to=TensorProto.INT32)


def rotary_tables(b: Builder) -> None:
    frequencies = 10000.0 ** (-np.arange(0, HEAD, 2) / HEAD)
    angles = np.outer(np.arange(POSITIONS), frequencies)
    b.constant("cos_cache", np.cos(angles).astype(np.float32))
    b.constant("sin_cache", np.sin(angles).astype(np.float32))


def attention(b: Builder, x: str, layer: int) -> str:
    name = f"layers.{layer}.attn"
    inputs = [
        b.matmul(x, f"{name}.q", HIDDEN, HIDDEN),
        b.matmul(x, f"{name}.k", HIDDEN, CACHED_HEADS * HEAD),
        b.matmul(x, f"{name}.v", HIDDEN, CACHED_HEADS * HEAD),
        f"past_{layer}_key",
        f"past_{layer}_value",
        "last_32",
        "total_32",
        "cos_cache",
        "sin_cache",
    ]
    outputs = [f"{name}.mixed", f"present_{layer}_key", f"present_{layer}_value"]
    mixed = b.add(
        "GroupQueryAttention",
        inputs,
        outputs,
        MICROSOFT,
        num_heads=HEADS,
        kv_num_heads=CACHED_HEADS,
        do_rotary=1,
        scale=1 / float(np.sqrt(HEAD)),
    )
    return b.matmul(mixed, f"{name}.o", HIDDEN, HIDDEN)


def feed_forward(b: Builder, x: str, layer: int) -> str:
    name = f"layers.{layer}.mlp"
    gate = b.matmul(x, f"{name}.gate", HIDDEN, INNER)
    up = b.matmul(x, f"{name}.up", HIDDEN, INNER)
    sigmoid = b.add("Sigmoid", [gate], [f"{name}.sigmoid"])
    swish = b.add("Mul", [gate, sigmoid], [f"{name}.swish"])
    gated = b.add("Mul", [swish, up], [f"{name}.gated"])
    return b.matmul(gated, f"{name}.down", INNER, HIDDEN)


def skip_norm(b: Builder, x: str, residual: str, name: str) -> tuple[str, str]:
    """The normalised sum and the sum itself."""
    inputs = [residual, x, b.norm_weight(f"{name}.weight")]
    outputs = [f"{name}.out", "", "", f"{name}.sum"]
    b.add("SkipSimplifiedLayerNormalization", inputs, outputs, MICROSOFT, epsilon=1e-5)
    return outputs[0], outputs[3]


def build() -> ModelProto:
    b = Builder()
    lengths(b)
    rotary_tables(b)
    residual = b.add(
        "Gather", [b.weight("embed.weight", VOCABULARY, HIDDEN), "input_ids"], ["embed"]
    )
    first = [residual, b.norm_weight("layers.0.enter.weight")]
    x = b.add(
        "SimplifiedLayerNormalization",
        first,
        ["layers.0.enter"],
        axis=-1,
        epsilon=1e-5,
        stash_type=1,
    )
    for layer in range(LAYERS):
        mixed = attention(b, x, layer)
        x, residual = skip_norm(b, mixed, residual, f"layers.{layer}.middle")
        fed = feed_forward(b, x, layer)
        x, residual = skip_norm(b, fed, residual, f"layers.{layer}.leave")
    b.add("MatMul", [x, b.weight("head.weight", HIDDEN, VOCABULARY, scale=0.06)], ["logits"])
    return to_model(b)


def to_model(b: Builder) -> ModelProto:
    value = helper.make_tensor_value_info
    kinds = {"int64": TensorProto.INT64, "float32": TensorProto.FLOAT}
    inputs = [value(name, kinds[spec.dtype], spec.shape) for name, spec in INPUTS.items()]
    outputs = [value("logits", TensorProto.FLOAT, ["batch", "tokens", VOCABULARY])]
    for name in cache("past", "past"):
        shape = ["batch", CACHED_HEADS, "past + tokens", HEAD]
        outputs.append(value(name.replace("past", "present"), TensorProto.FLOAT, shape))
    graph = helper.make_graph(b.nodes, "llama", inputs, outputs, b.initializers)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 9
    return model


def cache(prefix: str, length: str) -> dict[str, Input]:
    return {
        f"{prefix}_{layer}_{part}": Input("normal", ("batch", CACHED_HEADS, length, HEAD))
        for layer in range(LAYERS)
        for part in ("key", "value")
    }


INPUTS = {
    "input_ids": Input("tokens", ("batch", "tokens"), "int64", VOCABULARY),
    "attention_mask": Input("ones", ("batch", "past + tokens"), "int64"),
    **cache("past", "past"),
}

NETWORKS = [
    Network(
        "llama_tiny",
        "transformer",
        OPSET,
        build,
        INPUTS,
        ["logits", *cache("present", "past + tokens")],
        [
            {"batch": 1, "tokens": 6, "past": 0},
            {"batch": 1, "tokens": 1, "past": 11},
            {"batch": 2, "tokens": 1, "past": 4},
        ],
        {"batch": 1, "tokens": 1, "past": 127},
    ),
]
