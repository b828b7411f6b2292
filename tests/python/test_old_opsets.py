"""Operators as older opsets had them, against ONNX Runtime: models of one node with random data.

Import brings every node to the newest opset by upgrade rules. Each rule stands here with each of the versions that
it is for, from opset 7 on, which is the oldest that ONNX Runtime runs. Where it has no kernel for a version, the
same node as a later opset writes it is the reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import defs, helper, numpy_helper

from sessions import open_onnxruntime, open_session

F32, F64, I64 = np.float32, np.float64, np.int64
DEFINITIONS = Path(__file__).resolve().parents[2] / "runtime-core/ops/src/defs"
OLDEST = 7
# How far floats may lie apart, relative to the greatest magnitude; everything else is equal.
BOUNDS = {np.dtype(np.float16): 2e-3, np.dtype(F32): 1e-5, np.dtype(F64): 1e-12}

Inputs = list[np.ndarray | None]
Attributes = dict[str, Any]


@dataclass
class Case:
    """A node of some opset: its inputs (None where one is left out), and those that are initializers.

    `later` is the same node in an opset that ONNX Runtime runs, where it does not run this one.
    """

    inputs: Inputs
    attributes: Attributes = field(default_factory=dict)
    outputs: int = 1
    fixed: tuple[int, ...] = ()
    later: tuple[int, Inputs, Attributes] | None = None
    op: str = ""


Make = Callable[[np.random.Generator, int], Iterator[Case]]
TABLE: dict[str, Make] = {}


def of(*names: str) -> Callable[[Make], Make]:
    """Puts the cases of operators into the table."""

    def put(make: Make) -> Make:
        for name in names:
            TABLE[name] = make
        return make

    return put


def reals(rng: np.random.Generator, *shape: int, dtype: Any = F32) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


def ints(*values: int) -> np.ndarray:
    return np.array(values, I64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, F32)


@of("BatchNormalization")
def batch_normalization(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    for dtype in (F32, F64):
        x = reals(rng, 2, 3, 4, 5, dtype=dtype)
        scale, bias, mean = (reals(rng, 3, dtype=dtype) for _ in range(3))
        parameters = [scale, bias, mean, np.abs(mean) + dtype(0.5)]
        yield Case([x, *parameters], {"epsilon": 1e-3})
    yield Case([floats(1, 2, 3).reshape(1, 3), *[v.astype(F32) for v in parameters]])


@of("Clip")
def clip(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = reals(rng, 3, 7) * 3
    if opset < 11:
        for attributes in ({}, {"min": -1.0}, {"max": 0.5}, {"min": -1.0, "max": 0.5}):
            yield Case([x], attributes)
        return
    low, high = np.array(-1, F32), np.array(0.5, F32)
    for given in ([x], [x, low], [x, None, high], [x, low, high]):
        yield Case(given, fixed=(1, 2))
    if opset >= 12:
        numbers = rng.integers(-9, 9, (4, 5)).astype(I64)
        yield Case([numbers, np.array(-3, I64), np.array(4, I64)], fixed=(1, 2))


@of("Dropout")
def dropout(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = reals(rng, 3, 4)
    if opset >= 12:
        yield Case([x, np.array(0.3, F32)], {"seed": 3}, fixed=(1,))
        return
    yield Case([x], {"ratio": 0.3})
    yield Case([x])


@of("Hardmax", "Softmax", "LogSoftmax")
def along_an_axis(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = reals(rng, 2, 3, 4, 2)
    for axis in (0, 1, 2, 3) if opset < 11 else (0, 1, -1, -2):
        yield Case([x], {"axis": axis})
    yield Case([x])


def reduced(x: np.ndarray, opset: int) -> Iterator[Case]:
    yield Case([x])
    yield Case([x], {"keepdims": 0})
    yield Case([x], {"axes": [1], "keepdims": 1})
    yield Case([x], {"axes": [0, 2], "keepdims": 0})
    if opset >= 11:
        yield Case([x], {"axes": [-1], "keepdims": 0})


@of("ReduceLogSum", "ReduceLogSumExp")
def logarithms_of_sums(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    yield from reduced(rng.random((2, 3, 4)).astype(F32) + F32(0.5), opset)


REDUCTIONS = [f"Reduce{kind}" for kind in ("L1", "L2", "Max", "Mean", "Min", "Prod", "SumSquare")]


@of("ReduceSum", *REDUCTIONS)
def reductions(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    yield from reduced(reals(rng, 2, 3, 4), opset)
    yield from reduced(rng.integers(-4, 5, (2, 3, 4)).astype(np.int32), opset)


@of("Resize")
def resize(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    if opset > 10:
        modes = [{"mode": "nearest", "nearest_mode": mode} for mode in ("floor", "ceil")]
        for attributes in [*modes, {"mode": "nearest"}, {"mode": "linear"}]:
            for scales in ((1, 1, 2, 3), (1, 1, 0.6, 0.7)):
                for way in ("asymmetric", "half_pixel"):
                    given = [reals(rng, 1, 2, 8, 10), floats(), floats(*scales)]
                    way_and_mode = {**attributes, "coordinate_transformation_mode": way}
                    yield Case(given, way_and_mode, fixed=(1, 2))
        return
    for mode in ("nearest", "linear"):
        for scales in ((2, 3), (1.7, 1.3), (0.6, 0.6), (0.7, 0.3), (0.45, 1), (1, 1.5), (2, 0.6)):
            for fixed in ((1,), ()):
                x = reals(rng, 1, 2, 8, 10)
                yield Case([x, floats(1, 1, *scales)], {"mode": mode}, fixed=fixed)


@of("Upsample")
def upsample(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    for mode in ("nearest", "linear"):
        for scales in ((1.0, 1.0, 2.0, 3.0), (1.0, 1.0, 1.7, 1.3)):
            x = reals(rng, 1, 2, 5, 4)
            if opset < 9:
                yield Case([x], {"mode": mode, "scales": scales})
            else:
                yield Case([x, floats(*scales)], {"mode": mode}, fixed=(1,))


@of("Pad")
def pad(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = reals(rng, 2, 3, 4)
    pads = [0, 1, 2, 1, 0, 3]
    for mode in ("constant", "edge", "reflect"):
        here = pads if mode != "reflect" else [0, 1, 2, 1, 0, 1]
        if opset < 11:
            yield Case([x], {"mode": mode, "pads": here})
        else:
            yield Case([x, ints(*here)], {"mode": mode}, fixed=(1,))
    if opset < 11:
        yield Case([x], {"pads": pads, "value": 1.5})
        yield Case([x], {"pads": [0, -1, -2, 1, 0, 1]})


@of("Slice")
def slices(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = reals(rng, 5, 6, 7)
    ranges = [([1, 0], [3, 100], None), ([-3], [-1], [2]), ([0, 2], [5, -1], [2, 0])]
    for starts, ends, axes in ranges:
        if opset < 10:
            named = {} if axes is None else {"axes": axes}
            yield Case([x], {"starts": starts, "ends": ends, **named})
        else:
            lists = [ints(*starts), ints(*ends), None if axes is None else ints(*axes)]
            yield Case([x, *lists], fixed=(1, 2, 3))


@of("Split")
def split(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = reals(rng, 6, 4)
    yield Case([x], {"axis": 0}, outputs=3)
    yield Case([x], {}, outputs=2)
    yield Case([x], {"axis": 0, "split": [1, 3, 2]}, outputs=3)
    if opset >= 11:
        yield Case([x], {"axis": -1, "split": [3, 1]}, outputs=2)


@of("Squeeze")
def squeeze(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = reals(rng, 1, 3, 1, 2)
    yield Case([x])
    yield Case([x], {"axes": [0]})
    yield Case([x], {"axes": [0, 2]})
    if opset >= 11:
        yield Case([x], {"axes": [-2]})


@of("Unsqueeze")
def unsqueeze(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = reals(rng, 3, 2)
    yield Case([x], {"axes": [0]})
    yield Case([x], {"axes": [1, 3]})
    if opset >= 11:
        yield Case([x], {"axes": [-1, 0]})


@of("TopK")
def top_k(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = rng.permutation(60).reshape(3, 5, 4).astype(F32)
    for axis in (0, 1, -1):
        if opset < 10:
            yield Case([x], {"k": 2, "axis": axis}, outputs=2)
        else:
            yield Case([x, ints(2)], {"axis": axis}, outputs=2, fixed=(1,))
    if opset < 10:
        yield Case([x], {"k": 3}, outputs=2)


@of("GridSample")
def grid_sample(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = reals(rng, 2, 2, 5, 6)
    grid = (rng.random((2, 4, 3, 2)) * 2.4 - 1.2).astype(F32)
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            for align in (0, 1):
                attributes = {"mode": mode, "padding_mode": padding, "align_corners": align}
                yield Case([x, grid], attributes)
    yield Case([x, grid])


@of("GroupNormalization")
def group_normalization(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    for shape in ((2, 6, 3, 4), (1, 6, 5)):
        for groups in (1, 2, 3, 6):
            scale, bias = reals(rng, groups), reals(rng, groups)
            each = [np.repeat(values, 6 // groups) for values in (scale, bias)]
            x, attributes = reals(rng, *shape), {"num_groups": groups, "epsilon": 1e-3}
            yield Case([x, scale, bias], attributes, later=(21, [x, *each], attributes))


@of("RoiAlign")
def roi_align(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = reals(rng, 2, 2, 10, 10)
    corners = np.sort(rng.random((4, 2, 2)) * 18, axis=1).reshape(4, 4).astype(F32)
    for mode in ("avg", "max"):
        for ratio in (0, 2):
            sizes = {"output_height": 3, "output_width": 2, "sampling_ratio": ratio}
            attributes = {"mode": mode, "spatial_scale": 0.5, **sizes}
            yield Case([x, corners, ints(0, 1, 1, 0)], attributes)


@of("DFT")
def dft(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = reals(rng, 2, 5, 6, 1)
    for axis in (1, 2):
        yield Case([x], {"axis": axis})
    yield Case([x])
    yield Case([x], {"onesided": 1})
    yield Case([reals(rng, 2, 5, 2)], {"inverse": 1})
    yield Case([x, np.array(4, I64)], {"axis": 2}, fixed=(1,))


@of("Scatter")
def scatter(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x, updates = reals(rng, 3, 5), reals(rng, 2, 5)
    indices = np.array([[0, 1, 2, 0, 1], [2, 0, 1, 2, 0]], I64)
    yield Case([x, indices, updates])
    yield Case([x, indices[:, :2] + 2, updates[:, :2]], {"axis": 1})


@of("Scan")
def scan(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "x"], ["next"]),
            helper.make_node("Mul", ["next", "x"], ["y"]),
        ],
        "body",
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2])
            for name in ("state", "x")
        ],
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2])
            for name in ("next", "y")
        ],
    )
    attributes = {"body": body, "num_scan_inputs": 1}
    if opset > 8:
        yield Case([reals(rng, 2), reals(rng, 4, 2)], attributes, outputs=2)
        return
    state, x = reals(rng, 3, 2), reals(rng, 3, 4, 2)
    yield Case([None, state, x], attributes, outputs=2)
    yield Case([None, state, x], {**attributes, "directions": [1]}, outputs=2)


def aligned(b: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """`b` whose first axis is this one of an array of `rank` axes, ready to be broadcast."""
    return b.reshape(*b.shape, *[1] * (rank - axis - b.ndim))


@of("Add", "Sub", "Mul", "Div", "Pow")
def broadcast_along_an_axis(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x = np.abs(reals(rng, 2, 3, 4)) + F32(0.5)
    y = np.abs(reals(rng, 3)) + F32(0.5)
    if opset >= 7:
        yield Case([x, aligned(y, 1, 3)])
        return
    old = {"broadcast": 1, "axis": 1}
    yield Case([x, y], old, later=(7, [x, aligned(y, 1, 3)], {}))
    yield Case([x, x[0, 0]], {"broadcast": 1}, later=(7, [x, x[0, 0]], {}))


def compared(*dtypes: Any) -> Make:
    def make(rng: np.random.Generator, opset: int) -> Iterator[Case]:
        for dtype in dtypes:
            x, y = rng.integers(0, 2, (2, 3, 4)).astype(dtype), rng.integers(0, 2, 3).astype(dtype)
            later = (7, [x, aligned(y, 1, 3)], {})
            yield Case([x, y], {"broadcast": 1, "axis": 1}, later=later)

    return make


of("And", "Or", "Xor")(compared(bool))
of("Equal")(compared(bool, np.int32))
of("Greater", "Less")(compared(F32))


@of("PRelu")
def prelu(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    x, slope = reals(rng, 2, 3, 4), reals(rng, 3)
    if opset >= 7:
        yield Case([x, slope.reshape(3, 1)])
        return
    yield Case([x, slope], later=(7, [x, slope.reshape(3, 1)], {}))
    yield Case([x, slope[:1]], later=(7, [x, slope[:1]], {}))


@of("Gemm")
def gemm(rng: np.random.Generator, opset: int) -> Iterator[Case]:
    a, b, c = reals(rng, 3, 4), reals(rng, 5, 4), reals(rng, 5)
    attributes = {"transB": 1, "alpha": 0.5, "beta": 2.0}
    if opset >= 7:
        yield Case([a, b, c], attributes)
        return
    yield Case([a, b, c], {**attributes, "broadcast": 1}, later=(7, [a, b, c], attributes))
    full = [a, b, reals(rng, 3, 5)]
    yield Case(full, attributes, later=(7, full, attributes))


GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def recurrent(op: str) -> Make:
    def make(rng: np.random.Generator, opset: int) -> Iterator[Case]:
        length, batch, size, hidden = 3, 2, 4, 5
        for direction in ("forward", "reverse", "bidirectional"):
            count = 2 if direction == "bidirectional" else 1
            rows = GATES[op] * hidden
            x = reals(rng, length, batch, size)
            weights = [reals(rng, count, rows, size), reals(rng, count, rows, hidden)]
            bias = reals(rng, count, 2 * rows)
            attributes = {"hidden_size": hidden, "direction": direction}
            lengths = np.array([3, 2], np.int32)
            for given in ([x, *weights], [x, *weights, bias], [x, *weights, bias, lengths]):
                outputs = 3 if op == "LSTM" else 2
                if opset >= 7:
                    yield Case(given, attributes, outputs=outputs)
                    continue
                old = {**attributes, "output_sequence": 1}
                yield Case(given, old, outputs=outputs, later=(7, given, attributes))

    return make


for name in GATES:
    of(name)(recurrent(name))


def versions(op: str) -> list[int]:
    """An opset for each version of an operator, the oldest that both runtimes know."""
    history = defs.get_all_schemas_with_history()
    since = sorted({s.since_version for s in history if s.domain == "" and s.name == op})
    # A schema that only says that the operator is gone is no version of it.
    since = [at for at in since if not defs.get_schema(op, at, "").deprecated]
    ends = [*since[1:], 1 << 20]
    opsets = [max(first, OLDEST) for first, end in zip(since, ends) if end > OLDEST]
    if OLDER_THAN_7.intersection([op]):
        opsets.insert(0, 6)
    return opsets


# Rules that only opset 6 and older need: the later node is the reference.
OLDER_THAN_7 = {"Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Gemm", *GATES}
OLDER_THAN_7 |= {"And", "Or", "Xor", "Equal", "Greater", "Less"}


def cases() -> Iterator[Any]:
    for op, make in TABLE.items():
        for opset in versions(op):
            if opset >= rules().get(op, 1 << 20) and (op, opset) != ("Resize", 11):
                continue
            rng = np.random.default_rng([opset, *op.encode()])
            for at, case in enumerate(make(rng, opset)):
                yield pytest.param(op, opset, case, id=f"{op}-{opset}-{at}")


def rules() -> dict[str, int]:
    """The opset up to which each operator has upgrades, by the definitions of the operators."""
    found = {}
    for file in DEFINITIONS.glob("*.rs"):
        text = file.read_text()
        name = re.search(r'domain: "",\s+name: "(\w+)"', text)
        below = [int(number) for number in re.findall(r"\bbelow: (\d+)", text)]
        if name and below:
            found[name[1]] = max(below)
    return found


def test_every_upgrade_stands_in_the_table() -> None:
    found = rules()
    assert len(found) > 50
    missing = {op for op, below in found.items() if below > OLDEST and op not in TABLE}
    assert not missing


def model(
    op: str, opset: int, case: Case, inputs: Inputs, attributes: Attributes
) -> onnx.ModelProto:
    names = ["" if value is None else f"i{at}" for at, value in enumerate(inputs)]
    outputs = [f"o{at}" for at in range(case.outputs)]
    node = helper.make_node(op, names, outputs, **attributes)
    fed, fixed = [], []
    for at, value in enumerate(inputs):
        if value is None:
            continue
        if at in case.fixed:
            fixed.append(numpy_helper.from_array(value, f"i{at}"))
        else:
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            fed.append(helper.make_tensor_value_info(f"i{at}", kind, value.shape))
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph([node], "g", fed, results, fixed)
    # Before version 4 of the format an initializer had to be an input as well.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def feeds(case: Case, inputs: Inputs) -> dict[str, np.ndarray]:
    given = enumerate(inputs)
    return {f"i{at}": value for at, value in given if value is not None and at not in case.fixed}


@pytest.mark.parametrize(("op", "opset", "case"), list(cases()))
def test_an_old_node_gives_what_onnx_runtime_gives(
    op: str, opset: int, case: Case, engine: str, tmp_path: Path
) -> None:
    old, reference = tmp_path / "old.onnx", tmp_path / "reference.onnx"
    onnx.save(model(op, opset, case, case.inputs, case.attributes), old)
    at, inputs, attributes = case.later or (opset, case.inputs, case.attributes)
    onnx.save(model(op, at, case, inputs, attributes), reference)
    wanted = open_onnxruntime(reference).run(None, feeds(case, inputs))
    got = open_session(engine, old).run(None, feeds(case, case.inputs))
    assert len(got) == len(wanted) == case.outputs
    for left, right in zip(got, wanted):
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        bound = BOUNDS.get(right.dtype)
        if bound is None:
            np.testing.assert_array_equal(left, right)
        else:
            most = bound * max(float(np.abs(right).max(initial=0)), 1e-3)
            np.testing.assert_allclose(left, right, rtol=0, atol=most)
