"""Turns an ONNX model into a small skeleton and back: large weights become a description to draw them from.

`strip` replaces the data of every large tensor of weights by how its numbers are spread; `fill` draws such numbers
from a seed. A filled model has other weights than the original, but the same distribution tensor by tensor, so that
activations and quantisation scales keep fitting. Needs numpy, ml_dtypes and onnx alone.

A description is `kind seed mean std low high` in the tensor's `metadata_props` under `KEY`. Kinds:

* `normal`: normal numbers, clipped to low..high, rounded for integers;
* `rows`: such numbers, each row (first axis) scaled to its own largest and rounded to -127..127, as per-channel
  quantisation does;
* `bytes`: uniform bytes, for packed 4-bit weights;
* `short`: the tensor's own numbers, of which the upper 16 bits are kept in `raw_data`. For vectors that belong to
  the channels of a convolution one by one: statistics, scales and folded biases.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, numpy_helper
from onnx.helper import tensor_dtype_to_np_dtype

KEY = "remuda.weights"
SMALL = 256
DRAWN_TYPES = frozenset(
    {
        TensorProto.FLOAT,
        TensorProto.FLOAT16,
        TensorProto.BFLOAT16,
        TensorProto.INT8,
        TensorProto.UINT8,
        TensorProto.INT32,
    }
)
DISTINCT_VALUES_OF_A_TABLE = 8


@dataclass(frozen=True)
class Weights:
    """What `strip` has to know of the weights beside their numbers."""

    drawn: Mapping[str, str] = field(default_factory=dict)
    """Descriptions of the tensors that were drawn from one in the first place, by name."""
    keep_vectors: bool = False
    is_packed: Callable[[str], bool] = lambda name: False


def strip(model: ModelProto, weights: Weights) -> None:
    """Replaces large weights by descriptions, in place."""
    constants_to_initializers(model.graph)
    for graph in graphs(model.graph):
        for tensor in graph.initializer:
            array = numpy_helper.to_array(tensor)
            if tensor.data_type not in DRAWN_TYPES or array.size <= SMALL or is_table(array):
                continue
            description = choose(tensor.name, array, weights)
            if description is None:
                continue
            for data in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
                tensor.ClearField(data)
            if description == "short":
                tensor.raw_data = (
                    (array.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
                )
            tensor.metadata_props.add(key=KEY, value=description)


def choose(name: str, array: np.ndarray, weights: Weights) -> str | None:
    """The description for one tensor; None leaves the tensor as it is."""
    if weights.is_packed(name):
        return f"bytes {seed_of(name)} 0 0 0 255"
    if array.ndim == 1 and weights.keep_vectors:
        if array.dtype == np.int32:
            return None
        if array.min() != array.max():
            return "short"
    for source, description in weights.drawn.items():
        candidates = [description, description.replace("normal", "rows", 1)]
        for candidate in candidates if source in name else []:
            numbers = draw(candidate, array.shape).astype(np.float32)
            error = np.abs(numbers - array.astype(np.float32))
            if error.mean() <= 1e-3 * np.abs(numbers).mean():
                return candidate
    return describe(name, array)


def describe(name: str, array: np.ndarray) -> str:
    numbers = array.astype(np.float64)
    figures = (numbers.mean(), numbers.std(), numbers.min(), numbers.max())
    return f"normal {seed_of(name)} " + " ".join(f"{figure:.7g}" for figure in figures)


def seed_of(name: str) -> int:
    return zlib.crc32(name.encode())


def fill(model: ModelProto) -> None:
    """Draws the weights of a skeleton, in place."""
    for graph in graphs(model.graph):
        for tensor in graph.initializer:
            for entry in tensor.metadata_props:
                if entry.key == KEY:
                    tensor.raw_data = filled(tensor, entry.value).tobytes()
            tensor.ClearField("metadata_props")


def filled(tensor: TensorProto, description: str) -> np.ndarray:
    dtype = tensor_dtype_to_np_dtype(tensor.data_type)
    if description == "short":
        bits = np.frombuffer(tensor.raw_data, np.uint16).astype(np.uint32) << 16
        return bits.view(np.float32).astype(dtype)
    numbers = draw(description, tuple(tensor.dims))
    return (np.rint(numbers) if dtype.kind in "iu" else numbers).astype(dtype)


def draw(description: str, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers that a description stands for, as float32."""
    kind, seed, *figures = description.split()
    mean, std, low, high = map(np.float32, figures)
    rng = np.random.default_rng(int(seed))
    if kind == "bytes":
        return rng.integers(0, 256, shape, np.uint8)
    if kind not in ("normal", "rows"):
        raise ValueError(f"unknown kind of weights `{kind}`")
    numbers = rng.standard_normal(shape, np.float32)
    numbers *= std
    numbers += mean
    np.clip(numbers, low, high, out=numbers)
    if kind == "rows":
        largest = np.abs(numbers).max(axis=tuple(range(1, len(shape))), keepdims=True)
        numbers = np.rint(numbers * (np.float32(127) / largest))
    return numbers


def is_table(array: np.ndarray) -> bool:
    """Masks, fills and the like, whose few distinct values mean something; constant tensors are weights."""
    values = np.unique(array.astype(np.float64))
    return not np.isfinite(values).all() or 1 < values.size <= DISTINCT_VALUES_OF_A_TABLE


def constants_to_initializers(graph: GraphProto) -> None:
    """Moves large tensors out of Constant nodes of the main graph, so that one place holds all weights."""
    for node in list(graph.node):
        if node.op_type != "Constant" or node.attribute[0].name != "value":
            continue
        tensor = node.attribute[0].t
        if np.prod(tensor.dims, dtype=np.int64) <= SMALL:
            continue
        moved = graph.initializer.add()
        moved.CopyFrom(tensor)
        moved.name = node.output[0]
        graph.node.remove(node)


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and all graphs inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from graphs(attribute.g)
            for inner in attribute.graphs:
                yield from graphs(inner)
