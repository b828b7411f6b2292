"""Real networks through Remuda and ONNX Runtime, on the same file and data.

The models are rebuilt from the skeletons in `tests/networks`; every network runs at several dynamic sizes. Integer
outputs have to be equal, float outputs within the bound of the network's precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from catalog import Entry, load_catalog
from inputs import feeds
from materialize import materialize
from sessions import open_onnxruntime, open_session


@dataclass(frozen=True)
class Bound:
    """How far an output may lie from ONNX Runtime's.

    `largest` bounds every element, relative to the largest magnitude of the reference; `spread` bounds the root
    mean square of the differences, relative to the reference's standard deviation. `noise`, for quantised networks:
    each tie that rounds the other way moves an activation by a whole step, and deep networks amplify it, so that
    two correct runtimes differ by more than any fixed small number. ONNX Runtime itself shows by how much: without
    its graph optimisations, and on inputs moved by a millionth. `spread` may grow to `noise` times that, and the
    closer of optimised and plain counts.
    """

    largest: float = np.inf
    spread: float = np.inf
    noise: float = 0.0
    # Whether ONNX Runtime's plain result is as good a reference as its optimised one.
    either: bool = False


ABSOLUTE = 1e-5
BOUNDS = {
    "f32": Bound(largest=1e-4),
    "f16": Bound(largest=1e-2, spread=5e-3),
    "int8": Bound(spread=2e-2, noise=1.5, either=True),
    # 4-bit weights, computed in f32 (accuracy_level 0).
    "int4": Bound(largest=1e-4),
    # 4-bit weights whose products may round activations to int8 (accuracy_level 4), as ONNX Runtime does: its results
    # of llama_tiny lie up to 2.5 % of their standard deviation from those it computes in f32. The bound is the distance
    # to the latter, which must not be greater than ONNX Runtime's own.
    "int4-int8": Bound(spread=1e-5, noise=1.0),
}
# Above this, a quantised network amplifies rounding so much that it would hide a wrong kernel.
NOISE_OF_A_USEFUL_NETWORK = 0.1

# Rows of the first output name places of the second, best first. Scores that differ by no more than rounding may come
# in either order.
RANKED = {"yolo": ("selected", "scores")}

ENTRIES = load_catalog()
CASES = [
    pytest.param(entry, sizes, id=f"{entry.name}-{'-'.join(f'{k}{v}' for k, v in sizes.items())}")
    for entry in ENTRIES
    for sizes in entry.sizes
]


@pytest.fixture(scope="module")
def sessions(engine: str) -> Any:
    """ONNX Runtime's session, another one that shows its noise, and the session under test.

    One network's at a time, for the sake of memory.
    """
    held: dict[str, tuple[Any, Any, Any]] = {}

    def get(entry: Entry) -> tuple[Any, Any, Any]:
        if entry.name not in held:
            held.clear()
            path = materialize(entry)
            other = None
            if entry.precision == "int4-int8":
                other = open_onnxruntime(in_floats(path))
            elif BOUNDS[entry.precision].noise > 0:
                other = open_onnxruntime(path, optimized=False)
            held[entry.name] = (open_onnxruntime(path), other, open_session(engine, path))
        return held[entry.name]

    return get


@pytest.mark.parametrize(("entry", "sizes"), CASES)
def test_outputs_equal_those_of_onnx_runtime(
    entry: Entry, sizes: dict[str, int], engine: str, sessions: Any
) -> None:
    if engine == "reference" and uses_contrib_operators(entry):
        pytest.skip("the onnx package cannot evaluate com.microsoft operators")
    with expected_gaps(entry):
        onnxruntime, other, tested = sessions(entry)
    names = {value.name for value in onnxruntime.get_inputs()}
    arrays = feeds({name: entry.inputs[name] for name in entry.inputs}, sizes, seed=7)
    arrays = {name: array for name, array in arrays.items() if name in names}
    expected = onnxruntime.run(None, arrays)
    others = [other.run(None, arrays)] if other else []
    if entry.precision == "int4-int8":
        expected, others = others[0], [expected]
    elif other:
        others.append(onnxruntime.run(None, nudged(arrays)))
    with expected_gaps(entry):
        actual = tested.run(None, arrays)
    outputs = [value.name for value in onnxruntime.get_outputs()]
    assert len(actual) == len(outputs)
    check = Check(BOUNDS[entry.precision], dict(zip(outputs, expected)), RANKED.get(entry.name))
    for index, (described, got) in enumerate(zip(tested.get_outputs(), actual)):
        with expected_gaps(entry):
            assert_described(described, np.asarray(got))
            check.output(outputs[index], np.asarray(got), [values[index] for values in others])


def assert_described(described: Any, got: np.ndarray) -> None:
    """A dimension that is said to be fixed is."""
    fixed = dimensions(described.shape)
    held = [size if known is not None else None for size, known in zip(got.shape, fixed)]
    assert held == fixed, f"output `{described.name}` of {got.shape} is described as {fixed}"


def in_floats(path: Path) -> Path:
    """The same model without leave to round activations."""
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "MatMulNBits" and attribute.name == "accuracy_level":
                attribute.i = 1
    copy = path.with_name(f"{path.stem}-in-floats.onnx")
    onnx.save(model, copy)
    return copy


# Networks of which something does not hold yet, with the reason. Whatever is not listed fails, a refusal by name too:
# each network runs on the CPU, which also completes what other backends do not take.
GAPS: dict[str, str] = {}


def test_every_gap_is_a_network() -> None:
    assert set(GAPS) <= {entry.name for entry in ENTRIES}


@contextmanager
def expected_gaps(entry: Entry) -> Iterator[None]:
    """Turns a refusal or a difference of a network that is listed above into an expected failure."""
    try:
        yield
    except Exception as error:
        is_refusal = type(error).__name__ == "UnsupportedError"
        if entry.name in GAPS and (is_refusal or isinstance(error, AssertionError)):
            pytest.xfail(GAPS[entry.name])
        raise


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_inputs_and_outputs_are_described_as_by_onnx_runtime(
    entry: Entry, engine: str, sessions: Any
) -> None:
    if engine == "reference":
        pytest.skip("the evaluator of the onnx package does not describe its inputs this way")
    with expected_gaps(entry):
        onnxruntime, _, tested = sessions(entry)
    for theirs, ours in [
        (onnxruntime.get_inputs(), tested.get_inputs()),
        (onnxruntime.get_outputs(), tested.get_outputs()),
    ]:
        with expected_gaps(entry):
            described = [(value.name, value.type, len(value.shape)) for value in ours]
            assert described == [(value.name, value.type, len(value.shape)) for value in theirs]
            for mine, other in zip(ours, theirs):
                # More may be known: that it is true is checked by the outputs of every run.
                pairs = zip(dimensions(mine.shape), dimensions(other.shape))
                assert all(want in (size, None) for size, want in pairs), mine.name


def nudged(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same inputs with every float moved by a millionth, up or down."""
    rng = np.random.default_rng(5)
    return {
        name: array * (1 + 1e-6 * rng.choice([-1, 1], array.shape)).astype(array.dtype)
        if array.dtype.kind == "f"
        else array
        for name, array in arrays.items()
    }


def dimensions(shape: list[int | str | None]) -> list[int | None]:
    """Fixed dimensions and, as None, open ones: their names are up to each runtime."""
    return [size if isinstance(size, int) else None for size in shape]


def uses_contrib_operators(entry: Entry) -> bool:
    return b"com.microsoft" in entry.skeleton.read_bytes()


@dataclass(frozen=True)
class Check:
    """Compares outputs with the expected ones, by name."""

    bound: Bound
    expected: dict[str, np.ndarray]
    ranked: tuple[str, str] | None

    def output(self, name: str, got: np.ndarray, also: list[np.ndarray]) -> None:
        """`also` holds what ONNX Runtime gives on other ways or for nudged inputs."""
        want = self.expected[name]
        assert got.dtype == want.dtype, f"output `{name}`"
        assert got.shape == want.shape, f"output `{name}`"
        if self.ranked and self.ranked[0] == name:
            self.ranking(name, got)
            return
        if want.dtype.kind != "f":
            np.testing.assert_array_equal(got, want, err_msg=f"output `{name}`")
            return
        assert np.isfinite(got).all(), f"output `{name}` holds infinities or NaN"
        assert want.std() > 0, f"output `{name}` of the reference is constant and shows nothing"
        assert_elements_close(name, got, want, self.bound)
        assert_spread_close(name, got, want, also, self.bound)

    def ranking(self, name: str, got: np.ndarray) -> None:
        """The same rows, in the same order but for scores as near as rounding."""
        want, scores = self.expected[name], self.expected[self.ranked[1]]
        assert sorted(got.tolist()) == sorted(want.tolist()), f"output `{name}` selects others"
        apart = np.abs(scores[tuple(got.T)] - scores[tuple(want.T)]).max()
        allowed = self.bound.largest * np.abs(scores).max()
        assert apart <= allowed, (
            f"output `{name}`: ranks of scores {apart:.3g} > {allowed:.3g} apart"
        )


def assert_elements_close(name: str, got: np.ndarray, want: np.ndarray, bound: Bound) -> None:
    error = np.abs(got.astype(np.float64) - want).max()
    allowed = bound.largest * np.abs(want).max() + ABSOLUTE
    assert error <= allowed, f"output `{name}`: an element is off by {error:.3g} > {allowed:.3g}"


def assert_spread_close(
    name: str, got: np.ndarray, want: np.ndarray, also: list[np.ndarray], bound: Bound
) -> None:
    deviation = want.astype(np.float64).std()
    noise = max((root_mean_square(want, other) for other in also), default=0.0) / deviation
    limit = NOISE_OF_A_USEFUL_NETWORK
    assert noise <= limit, f"output `{name}`: ONNX Runtime's own noise is {noise:.3g} > {limit}"
    references = [want, *also[:1]] if bound.either else [want]
    error = min(root_mean_square(got, other) for other in references) / deviation
    allowed = max(bound.spread, bound.noise * noise)
    assert error <= allowed, f"output `{name}`: differences spread by {error:.3g} > {allowed:.3g}"


def root_mean_square(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.sqrt(np.mean((left.astype(np.float64) - right) ** 2)))
