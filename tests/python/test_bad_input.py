"""Broken and hostile models through the Python door: a typed error that says what is wrong, never a crash.

Everything here is written as bytes or as messages of protobuf that no exporter would write. What has to stay within
bounds of memory is loaded by a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import remuda
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
Model = onnx.ModelProto


def add() -> Model:
    """`sum = a + b`, two weights of `n` floats."""
    values = [helper.make_tensor_value_info(name, FLOAT, ["n"]) for name in ("a", "b", "sum")]
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["sum"])], "add", values[:2], values[2:]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def with_weight(**fields: Any) -> Model:
    """`sum = a + w`; the fields of the weight, of 4 floats, are set to anything."""
    model = add()
    del model.graph.input[1]
    model.graph.node[0].input[1] = "w"
    weight = numpy_helper.from_array(np.ones(4, np.float32), "w")
    for name, value in fields.items():
        field = getattr(weight, name)
        if isinstance(value, list):
            del field[:]
            field.extend(value)
        else:
            setattr(weight, name, value)
    model.graph.initializer.append(weight)
    return model


def external(entries: dict[str, str]) -> Model:
    model = with_weight()
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        weight.external_data.add(key=key, value=value)
    return model


def cyclic() -> Model:
    model = add()
    model.graph.node[0].input[1] = "late"
    model.graph.node.append(helper.make_node("Neg", ["sum"], ["late"]))
    return model


def mistyped() -> Model:
    model = with_weight()
    weight = numpy_helper.from_array(np.ones(4, np.int64), "w")
    model.graph.initializer[0].CopyFrom(weight)
    return model


def contradicted() -> Model:
    model = add()
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT32
    return model


def misshapen() -> Model:
    model = add()
    for value, size in zip(model.graph.input, (2, 3)):
        value.type.tensor_type.shape.dim[0].dim_value = size
    return model


def unknown_input_type() -> Model:
    model = add()
    model.graph.input[0].type.tensor_type.elem_type = 99
    return model


def renamed(old: bytes, new: bytes) -> bytes:
    data = add().SerializeToString()
    assert old in data and len(old) == len(new)
    return data.replace(old, new)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def nested(levels: int) -> bytes:
    """Bodies in bodies: graph, node, attribute, graph and so on."""
    graph = b""
    for _ in range(levels):
        attribute = field(1, b"then_branch") + field(6, graph) + b"\xa0\x01\x05"
        graph = field(1, field(4, b"If") + field(5, attribute))
    return b"\x08\x0a" + field(7, graph) + field(8, b"\x10\x15")


def nested_types(levels: int) -> bytes:
    """An input whose type is a sequence of sequences of sequences."""
    kind = field(1, b"\x08\x01")
    for _ in range(levels):
        kind = field(4, field(1, kind))
    graph = field(11, field(1, b"x") + field(2, kind))
    return b"\x08\x0a" + field(7, graph) + field(8, b"\x10\x15")


BROKEN, UNSUPPORTED, TOO_LARGE = (
    remuda.ModelFormatError,
    remuda.UnsupportedError,
    remuda.ResourceError,
)
CASES: dict[str, tuple[Callable[[], Model | bytes], Any, str]] = {
    "empty": (lambda: b"", BROKEN, "graph|empty|model"),
    "text": (lambda: b"<html>no model</html>", BROKEN, "."),
    "zeros": (lambda: bytes(64), BROKEN, "."),
    "cyclic": (cyclic, BROKEN, "cycle"),
    "mistyped": (mistyped, BROKEN, "i64.*f32|f32.*i64"),
    "contradicted": (contradicted, BROKEN, "`sum`.*i32.*f32|`sum`.*f32.*i32"),
    "misshapen": (misshapen, BROKEN, r"\[2\].*\[3\]"),
    "unknown-dtype": (lambda: with_weight(data_type=77), UNSUPPORTED, "77"),
    "unknown-input-dtype": (unknown_input_type, UNSUPPORTED, "99"),
    "short-weight": (lambda: with_weight(dims=[5]), BROKEN, "`w`.*20.*16"),
    "long-weight": (lambda: with_weight(dims=[3]), BROKEN, "`w`.*12.*16"),
    "negative-dimension": (lambda: with_weight(dims=[-4]), BROKEN, "`w`.*-4"),
    "absurd-dimension": (lambda: with_weight(dims=[2**62]), TOO_LARGE, "`w`.*4611686018427387904"),
    "overflowing-product": (
        lambda: with_weight(dims=[2**33, 2**33], raw_data=b""),
        TOO_LARGE,
        "`w`.*8589934592",
    ),
    "overflow-to-zero": (
        lambda: with_weight(dims=[2**32, 2**32, 0], raw_data=b""),
        TOO_LARGE,
        "`w`.*4294967296",
    ),
    "no-utf8-name": (lambda: renamed(b"sum", b"\xff\xfe\xfd"), BROKEN, "UTF-8"),
    "no-utf8-operator": (lambda: renamed(b"Add", b"A\xc3\x28"), BROKEN, "UTF-8"),
    "unknown-operator": (lambda: renamed(b"Add", b"Odd"), UNSUPPORTED, "Odd"),
    "deep-bodies": (lambda: nested(10_000), UNSUPPORTED, "nest deeper than"),
    "deep-types": (lambda: nested_types(10_000), UNSUPPORTED, "nest deeper than"),
}


def as_bytes(made: Model | bytes) -> bytes:
    return made if isinstance(made, bytes) else made.SerializeToString()


@pytest.mark.parametrize(("make", "kind", "message"), CASES.values(), ids=CASES.keys())
def test_a_broken_model_is_refused(make: Callable[[], Any], kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        remuda.InferenceSession(as_bytes(make()))


def test_a_model_cut_off_anywhere_is_refused_or_read() -> None:
    data = as_bytes(with_weight())
    refused = 0
    for end in range(len(data)):
        try:
            remuda.InferenceSession(data[:end])
        except remuda.ModelFormatError:
            refused += 1
    # What is left may be a model where only whole fields at the end are missing.
    assert refused >= len(data) - 3


FOLDER_CASES = {
    "parent": ("../secret", "`../secret`"),
    "parent-inside": ("inner/../../secret", r"\.\."),
    "absolute": ("{outside}/secret", "absolute|`/"),
    "symlink": ("link", "link"),
    "linked-folder": ("linked/secret", "link"),
    "hard-link": ("hard", "hard link"),
    "missing": ("nothing", "`nothing`"),
    "folder": ("inner", "`inner`"),
    "pipe": ("pipe", "`pipe`"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a model, and a secret outside of it that would do as its weight."""
    inside = tmp_path / "model"
    (inside / "inner").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(16))
    (inside / "data").write_bytes(bytes(16))
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "linked").symlink_to(tmp_path)
    os.link(tmp_path / "secret", inside / "hard")
    os.mkfifo(inside / "pipe")
    return inside


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are those of Unix")
@pytest.mark.parametrize(("location", "message"), FOLDER_CASES.values(), ids=FOLDER_CASES.keys())
def test_weights_outside_of_the_folder_are_refused(
    folder: Path, location: str, message: str
) -> None:
    location = location.format(outside=folder.parent)
    path = folder / "model.onnx"
    path.write_bytes(as_bytes(external({"location": location})))
    with pytest.raises(remuda.Error, match=message) as caught:
        remuda.InferenceSession(str(path))
    assert not isinstance(caught.value, remuda.InternalError)


RANGES = {
    "beyond": {"offset": "8", "length": "16"},
    "offset-beyond": {"offset": "4096"},
    "overflowing": {"offset": str(2**63), "length": str(2**63)},
    "negative": {"offset": "-16", "length": "16"},
    "no-number": {"offset": "many"},
    "short": {"length": "12"},
}


@pytest.mark.parametrize("entries", RANGES.values(), ids=RANGES.keys())
def test_ranges_that_do_not_fit_their_file_are_refused(
    folder: Path, entries: dict[str, str]
) -> None:
    path = folder / "model.onnx"
    path.write_bytes(as_bytes(external({"location": "data", **entries})))
    with pytest.raises(remuda.ModelFormatError, match="`w`"):
        remuda.InferenceSession(str(path))


def test_the_same_weights_in_the_folder_are_read(folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(as_bytes(external({"location": "data", "length": "16"})))
    session = remuda.InferenceSession(str(path))
    (got,) = session.run(None, {"a": np.arange(4, dtype=np.float32)})
    np.testing.assert_array_equal(got, np.arange(4))


PROBE = """
import json, resource, sys
import numpy as np
import remuda
path, megabytes, seconds = sys.argv[1], *map(int, sys.argv[2:])
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
if megabytes:
    resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))
try:
    session = remuda.InferenceSession(path)
    session.run(None, {i.name: np.ones(i.shape, np.float32) for i in session.get_inputs()})
    print(json.dumps(["fine", ""]))
except remuda.Error as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of a process are Linux's")


def run_apart(path: Path, megabytes: int = 0, seconds: int = 10) -> list[str]:
    """Loads and runs a model in a process of its own: the error's type and text.

    The seconds are of the processor, the interpreter's start included; 0 megabytes are no limit.
    """
    command = [sys.executable, "-c", PROBE, str(path), str(megabytes), str(seconds)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, (ended.returncode, ended.stderr)
    return json.loads(ended.stdout)


# What is repeated, and the fields of the model that hold all of it, from the outside in.
REPEATED = {
    "nodes": (field(1, field(4, b"Neg")), (7,)),
    "names-of-inputs": (field(1, b"a"), (7, 1)),
    "metadata": (field(14, field(1, b"key")), ()),
}


@LINUX
@pytest.mark.parametrize(("repeated", "fields"), REPEATED.values(), ids=REPEATED.keys())
def test_a_gigabyte_of_repeated_fields_is_refused_in_bounded_memory_and_time(
    tmp_path: Path, repeated: bytes, fields: tuple[int, ...]
) -> None:
    path = tmp_path / "large.onnx"
    block = repeated * (2**20 // len(repeated))
    count = 2**30 // len(block)
    heads, size = b"", count * len(block)
    for number in reversed(fields):
        heads = varint(number << 3 | 2) + varint(len(heads) + size) + heads
    with path.open("wb") as file:
        file.write(b"\x08\x0a" + heads)
        for _ in range(count):
            file.write(block)
    kind, text = run_apart(path, megabytes=768)
    path.unlink()
    assert kind == "ResourceError"
    assert "max_structure_bytes" in text or "max_fields" in text


def one_node(
    op: str, shapes: list[list[int]], constants: list[list[int]], **attributes: Any
) -> Model:
    """A model of one node over inputs of ones and constants of integers."""
    names = [f"x{at}" for at in range(len(shapes))]
    fixed = [
        numpy_helper.from_array(np.array(c, np.int64), f"c{at}") for at, c in enumerate(constants)
    ]
    node = helper.make_node(op, [*names, *[c.name for c in fixed]], ["y"], **attributes)
    inputs = [helper.make_tensor_value_info(n, FLOAT, s) for n, s in zip(names, shapes)]
    graph = helper.make_graph([node], "g", inputs, [onnx.ValueInfoProto(name="y")], fixed)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


FAR = 2**46
IMAGES = [[1, 2, 2, 2], [2, 2, 1, 1]]
ABSURD = {
    "expand": one_node("Expand", [[1]], [[FAR]]),
    "expand-further": one_node("Expand", [[1]], [[2**62]]),
    "tile": one_node("Tile", [[1]], [[FAR]]),
    "pad": one_node("Pad", [[1]], [[FAR, 0]]),
    "resize": one_node("Resize", [[1]], [[FAR]]),
    "conv-pads": one_node("Conv", IMAGES, [], pads=[FAR, 0, 0, 0]),
    "conv-dilations": one_node("Conv", [[1, 2, 2], [2, 2, 2]], [], pads=[FAR, 0], dilations=[FAR]),
    "transposed-strides": one_node("ConvTranspose", [[1, 2, 2], [2, 2, 2]], [], strides=[FAR]),
    "pool-pads": one_node("AveragePool", [[1, 1, 1]], [], kernel_shape=[FAR], pads=[FAR, FAR - 2]),
}
ABSURD["resize"].graph.node[0].input[1:] = ["", "", "c0"]


@LINUX
@pytest.mark.parametrize("model", ABSURD.values(), ids=ABSURD.keys())
def test_sizes_beyond_any_memory_are_refused(tmp_path: Path, model: Model) -> None:
    path = tmp_path / "absurd.onnx"
    path.write_bytes(as_bytes(model))
    kind, text = run_apart(path)
    assert kind in ("ResourceError", "ModelFormatError"), (kind, text)
    assert "memory" in text or "large" in text or "addressed" in text, text


def with_attribute(**attributes: Any) -> Model:
    model = one_node("Transpose", [[1, 1]], [])
    model.graph.node[0].attribute.extend(
        helper.make_attribute(name, value) for name, value in attributes.items()
    )
    return model


UNBOUNDED = {
    "integers-for-a-string": (
        one_node("DepthToSpace", [[1, 4, 1, 1]], [], blocksize=2, mode=[1] * 300_000),
        "`mode` expected a string, got integers",
    ),
    "graph-for-integers": (
        with_attribute(perm=add().graph),
        "`perm` expected integers, got a graph",
    ),
    "perm": (with_attribute(perm=[0] * 300_000), "permutation"),
    "name": (one_node("Odd" * 300_000, [[1]], []), "OddOdd"),
}


@pytest.mark.parametrize(("model", "message"), UNBOUNDED.values(), ids=UNBOUNDED.keys())
def test_messages_are_short_whatever_they_refuse(model: Model, message: str) -> None:
    with pytest.raises(remuda.Error, match=message) as caught:
        remuda.InferenceSession(as_bytes(model))
    assert len(str(caught.value)) < 5000


def test_statistics_that_nobody_makes_are_refused() -> None:
    model = one_node("BatchNormalization", [[1, 2, 3], [2], [2], [2], [2]], [], training_mode=0)
    model.graph.node[0].output.extend(["mean", "variance"])
    model.graph.output.add(name="mean")
    with pytest.raises(remuda.Error, match="training_mode") as caught:
        session = remuda.InferenceSession(as_bytes(model))
        session.run(None, {i.name: np.ones(i.shape, np.float32) for i in session.get_inputs()})
    assert not isinstance(caught.value, remuda.InternalError)


WRONG_INPUTS = {
    "name": ({"a": (np.float32, 2), "c": (np.float32, 2)}, "`c`"),
    "missing": ({"a": (np.float32, 2)}, "`b`"),
    "dtype": ({"a": (np.float32, 2), "b": (np.int64, 2)}, "`b`.*f32.*i64"),
    "rank": ({"a": (np.float32, 2), "b": (np.float32, (2, 1))}, r"`b`.*\[n\].*\[2, 1\]"),
    "size": ({"a": (np.float32, 2), "b": (np.float32, 3)}, "`n`.*2.*3|`b`.*3"),
}


@pytest.mark.parametrize(("given", "message"), WRONG_INPUTS.values(), ids=WRONG_INPUTS.keys())
def test_wrong_inputs_are_named_with_what_was_expected(
    given: dict[str, tuple[Any, Any]], message: str
) -> None:
    session = remuda.InferenceSession(as_bytes(add()))
    arrays = {name: np.zeros(shape, dtype) for name, (dtype, shape) in given.items()}
    with pytest.raises(remuda.InputError, match=message):
        session.run(None, arrays)
