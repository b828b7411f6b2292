"""Small models for the tests, made with `onnx`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnx import TensorProto, ValueInfoProto, helper


def model(
    nodes: Sequence[Any],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: Sequence[TensorProto] = (),
    opset: int = 21,
) -> bytes:
    graph = helper.make_graph(nodes, "test", inputs, outputs, initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return made.SerializeToString()


def tensor(name: str, dtype: int = TensorProto.FLOAT, shape: Any = ("n",)) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def identity(dtype: int, shape: Any = ("n",)) -> bytes:
    """`y = x`, through an operator that no optimiser may drop: the output is the input."""
    node = helper.make_node("Identity", ["x"], ["y"])
    return model([node], [tensor("x", dtype, shape)], [tensor("y", dtype, shape)])


def add() -> bytes:
    """`sum = a + b` over a named dimension."""
    node = helper.make_node("Add", ["a", "b"], ["sum"])
    return model([node], [tensor("a"), tensor("b")], [tensor("sum")])


def endless() -> bytes:
    """Counts in a loop for as long as anybody would wait."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["v", "v"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            tensor("v", shape=[1]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            tensor("next", shape=[1]),
        ],
    )
    times = helper.make_tensor("times", TensorProto.INT64, [], [2**62])
    node = helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)
    return model([node], [tensor("x", shape=[1])], [tensor("y", shape=[1])], [times])
