#!/usr/bin/env python3
"""Writes the seeds of the ONNX fuzz targets: small models that reach each part of the importer.

    python tests/fuzz/make_seeds.py

Needs the Python package `onnx`. The seeds are committed; run it again after adding one here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import AttributeProto, FunctionProto, ModelProto, TensorProto, helper, numpy_helper
from onnx.helper import make_graph, make_node, make_opsetid, make_tensor_value_info

SEEDS = Path(__file__).resolve().parent / "seeds"
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def model(nodes, inputs, outputs, initializers=(), opset=21, functions=(), **rest) -> ModelProto:
    graph = make_graph(list(nodes), "main", list(inputs), list(outputs), list(initializers), **rest)
    opsets = [make_opsetid("", opset), make_opsetid("f", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=10)


def value(name, dims=("n",), element=FLOAT):
    return make_tensor_value_info(name, element, list(dims))


def weight(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def typed(name, element, dims, values) -> TensorProto:
    """A tensor in the field of its type instead of raw bytes."""
    return helper.make_tensor(name, element, dims, values)


def plain() -> dict[str, ModelProto]:
    x, y, z = value("x"), value("y"), value("z")
    named = make_node("Softmax", ["x"], ["z"], name="blk.3/attn", axis=-1)
    unsorted = [make_node("Abs", ["t"], ["z"]), make_node("Neg", ["x"], ["t"])]
    reshape = make_node("Reshape", ["x", "s"], ["z"])
    foreign = make_node("Mix", ["x", ""], ["z"], domain="acme", mode="fast", k=[1, 2], a=0.5)
    return {
        "add": model([make_node("Add", ["x", "y"], ["z"])], [x, y], [z]),
        "softmax": model([named], [x], [z]),
        "softmax_old": model(
            [make_node("Softmax", ["x"], ["z"])],
            [value("x", (2, 3))],
            [value("z", (2, 3))],
            opset=9,
        ),
        "add_old": model(
            [make_node("Add", ["x", "y"], ["z"], axis=0, broadcast=1)],
            [value("x", (2, 3)), value("y", (2,))],
            [value("z", (2, 3))],
            opset=6,
        ),
        "unsorted": model(unsorted, [x], [z]),
        "reshape": model(
            [reshape], [value("x", ("n", 4))], [value("z", ("n", 2, 2))], [weight("s", [0, 2, -1])]
        ),
        "foreign": model([foreign], [x], [z]),
        "upsample": model(
            [make_node("Upsample", ["x"], ["z"], mode="nearest", scales=[1.0, 1.0, 2.0, 2.0])],
            [value("x", (1, 1, 2, 2))],
            [value("z", (1, 1, 4, 4))],
            opset=7,
        ),
    }


def elements() -> dict[str, ModelProto]:
    models = {}
    plain_types = {
        "float": (FLOAT, [1.5, -2.0]),
        "double": (TensorProto.DOUBLE, [1.5, -2.0]),
        "float16": (TensorProto.FLOAT16, [1.5, -2.0]),
        "bfloat16": (TensorProto.BFLOAT16, [1.5, -2.0]),
        "float8": (TensorProto.FLOAT8E4M3FN, [1.5, -2.0]),
        "int4": (TensorProto.INT4, [1, -2]),
        "uint4": (TensorProto.UINT4, [1, 2]),
        "int8": (TensorProto.INT8, [1, -2]),
        "int64": (INT64, [1, -2]),
        "uint64": (TensorProto.UINT64, [1, 2]),
        "bool": (BOOL, [True, False]),
        "complex64": (TensorProto.COMPLEX64, [1 + 2j, -3j]),
        "string": (TensorProto.STRING, ["a", "zwölf"]),
    }
    for name, (element, values) in plain_types.items():
        tensor = typed("w", element, [2], values)
        identity = make_node("Identity", ["w"], ["z"])
        models[f"typed_{name}"] = model([identity], [], [value("z", (2,), element)], [tensor])
    sparse = helper.make_sparse_tensor(weight("w", np.float32([5, 6])), weight("", [1, 3]), [2, 2])
    identity = make_node("Identity", ["w"], ["z"])
    models["sparse"] = model([identity], [], [value("z", (2, 2))], sparse_initializer=[sparse])
    external = weight("w", np.float32([1, 2]))
    external.ClearField("raw_data")
    external.data_location = TensorProto.EXTERNAL
    for key, text in (("location", "weights"), ("offset", "0"), ("length", "8")):
        external.external_data.add(key=key, value=text)
    models["external"] = model([identity], [], [value("z", (2,))], [external])
    return models


def bodies() -> dict[str, ModelProto]:
    branch = make_graph([make_node("Neg", ["x"], ["r"])], "branch", [], [value("r")])
    choose = make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch)
    step = make_graph(
        [make_node("Identity", ["c"], ["d"]), make_node("Add", ["s", "x"], ["t"])],
        "step",
        [value("i", (), INT64), value("c", (), BOOL), value("s", (2,))],
        [value("d", (), BOOL), value("t", (2,)), value("t", (2,))],
    )
    repeat = make_node("Loop", ["m", "", "x"], ["z", "all"], body=step)
    add = make_graph(
        [make_node("Add", ["a", "b"], ["s"]), make_node("Identity", ["s"], ["o"])],
        "add",
        [value("a", ()), value("b", ())],
        [value("s", ()), value("o", ())],
    )
    scan = make_node("Scan", ["first", "x"], ["last", "z"], body=add, num_scan_inputs=1)
    condition = value("c", (), BOOL)
    return {
        "if": model([choose], [condition, value("x")], [value("z")]),
        "loop": model(
            [repeat],
            [value("m", (), INT64), value("x", (2,))],
            [value("z", (2,)), value("all", ("k", 2))],
        ),
        "scan": model(
            [scan], [value("first", ()), value("x", (3,))], [value("last", ()), value("z", (3,))]
        ),
    }


def functions() -> dict[str, ModelProto]:
    reference = make_node("Softmax", ["a"], ["r"])
    attribute = AttributeProto(name="axis", type=AttributeProto.INT, ref_attr_name="dim")
    reference.attribute.append(attribute)
    opsets = [make_opsetid("", 21), make_opsetid("f", 1)]
    soft = helper.make_function(
        "f",
        "soft",
        ["a"],
        ["r"],
        [reference],
        opsets,
        attribute_protos=[helper.make_attribute("dim", -1)],
    )
    twice: FunctionProto = helper.make_function(
        "f",
        "twice",
        ["a", "b"],
        ["r"],
        [make_node("soft", ["a"], ["t"], domain="f", dim=0), make_node("Add", ["t", "a"], ["r"])],
        opsets,
    )
    call = make_node("twice", ["x"], ["z"], domain="f")
    return {"function": model([call], [value("x")], [value("z")], functions=[soft, twice])}


def main() -> None:
    folder = SEEDS / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    for name, proto in {**plain(), **elements(), **bodies(), **functions()}.items():
        (folder / name).write_bytes(proto.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
