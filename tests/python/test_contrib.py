"""Attention and its relatives of com.microsoft, against ONNX Runtime: one operator at a time, every optional input
in and out, sizes drawn from fixed seeds.

Inputs are drawn where the operator's description gives no reason for others; results have to be equal within the
rounding of the element type.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from sessions import open_onnxruntime, open_session

Arrays = dict[str, np.ndarray | None]

TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float16): 4e-3}


class Case:
    """A node of one operator: its inputs by name in the operator's order, its attributes and its outputs."""

    def __init__(
        self,
        op: str,
        inputs: Arrays,
        outputs: list[str],
        fixed: tuple[str, ...] = (),
        **attributes: Any,
    ) -> None:
        self.op, self.inputs, self.outputs = op, inputs, outputs
        self.fixed, self.attributes = fixed, attributes

    def save(self, path: Path) -> None:
        names = [name if array is not None else "" for name, array in self.inputs.items()]
        while names and not names[-1]:
            names.pop()
        node = helper.make_node(
            self.op, names, self.outputs, domain="com.microsoft", **self.attributes
        )
        kind = helper.np_dtype_to_tensor_dtype
        given = {name: array for name, array in self.inputs.items() if array is not None}
        inputs = [
            helper.make_tensor_value_info(name, kind(array.dtype), array.shape)
            for name, array in given.items()
            if name not in self.fixed
        ]
        weights = [onnx.numpy_helper.from_array(given[name], name) for name in self.fixed]
        dtype = kind(next(array.dtype for array in given.values() if array.dtype.kind == "f"))
        outputs = [
            helper.make_tensor_value_info(name, dtype, None) for name in self.outputs if name
        ]
        graph = helper.make_graph([node], "case", inputs, outputs, weights)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = 8
        path.write_bytes(model.SerializeToString())

    def feeds(self) -> dict[str, np.ndarray]:
        return {
            name: array
            for name, array in self.inputs.items()
            if array is not None and name not in self.fixed
        }


def check(case: Case, engine: str, folder: Path) -> None:
    if engine == "reference":
        pytest.skip("the onnx package cannot evaluate com.microsoft operators")
    path = folder / "case.onnx"
    case.save(path)
    want = open_onnxruntime(path).run(None, case.feeds())
    session = open_session(engine, path)
    # Twice: what is packed at the first run serves the second.
    for _ in range(2):
        got = session.run(None, case.feeds())
        names = [name for name in case.outputs if name]
        for name, ours, theirs in zip(names, got, want, strict=True):
            assert ours.dtype == theirs.dtype and ours.shape == theirs.shape, name
            bound = TOLERANCE[theirs.dtype] * max(1.0, float(np.abs(theirs).max(initial=0)))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound, err_msg=name)


def normal(rng: np.random.Generator, *shape: int, dtype: Any = np.float32) -> np.ndarray:
    return rng.normal(size=shape).astype(dtype)


def padding(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """A mask that shows the first key to all: where every key is hidden by -10000, few bits of the scores are left."""
    mask = rng.integers(0, 2, shape)
    mask[..., 0] = 1
    return mask.astype(np.int32)


def on_or_off(*names: str) -> list[Any]:
    """Every choice of some names."""
    choices = []
    for flags in itertools.product([False, True], repeat=len(names)):
        chosen = {name for name, flag in zip(names, flags) if flag}
        choices.append(pytest.param(chosen, id="+".join(sorted(chosen)) or "plain"))
    return choices


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", ["none", "lengths", "keys", "scores"])
@pytest.mark.parametrize("chosen", on_or_off("bias", "past", "added", "causal"))
def test_multi_head_attention(
    chosen: set[str], form: str, seed: int, engine: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    batch, heads, length = (int(size) for size in rng.integers(1, 5, 3))
    size = 8 * int(rng.integers(1, 5))
    value_size = size if "past" in chosen else 8 * int(rng.integers(1, 5))
    past = int(rng.integers(1, 20)) if "past" in chosen else 0
    own = past > 0 or "causal" in chosen
    keys = past + (length if own else int(rng.integers(1, 30)))
    hidden, hidden_v = heads * size, heads * value_size
    masks = {
        "none": None,
        "lengths": rng.integers(1, keys + 1, batch).astype(np.int32),
        "keys": padding(rng, batch, keys),
        "scores": padding(rng, batch, length, keys),
    }
    has = chosen.__contains__
    inputs: Arrays = {
        "query": normal(rng, batch, length, hidden),
        "key": normal(rng, batch, keys - past, hidden),
        "value": normal(rng, batch, keys - past, hidden_v),
        "bias": normal(rng, 2 * hidden + hidden_v) if has("bias") else None,
        "padding": masks[form],
        "added": normal(rng, *rng.choice([1, batch], 1), *rng.choice([1, heads], 1), length, keys)
        if has("added")
        else None,
        "past_key": normal(rng, batch, heads, past, size) if past else None,
        "past_value": normal(rng, batch, heads, past, size) if past else None,
    }
    outputs = ["out", "present_key", "present_value"] if past else ["out"]
    causal = int(has("causal"))
    check(
        Case("MultiHeadAttention", inputs, outputs, num_heads=heads, unidirectional=causal),
        engine,
        tmp_path,
    )


@pytest.mark.parametrize("seed", range(2))
def test_multi_head_attention_to_projected_keys(seed: int, engine: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    inputs: Arrays = {
        "query": normal(rng, 2, 5, 3 * 16),
        "key": normal(rng, 2, 3, 40, 16),
        "value": normal(rng, 2, 3, 40, 16),
    }
    check(Case("MultiHeadAttention", inputs, ["out"], num_heads=3, scale=0.3), engine, tmp_path)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", ["none", "ends", "bounds", "keys", "scores"])
@pytest.mark.parametrize("chosen", on_or_off("past", "added", "causal", "widths"))
def test_attention(chosen: set[str], form: str, seed: int, engine: str, tmp_path: Path) -> None:
    if {"past", "widths"} <= chosen:
        pytest.skip("a cache holds keys and values of one width")
    if {"past", "added"} <= chosen:
        pytest.skip("ONNX Runtime refuses a past and an `attention_bias` together")
    rng = np.random.default_rng(seed + 10)
    batch, heads, length = (int(size) for size in rng.integers(1, 5, 3))
    size = 8 * int(rng.integers(1, 5))
    value_size = 2 * size if "widths" in chosen else size
    past = int(rng.integers(1, 12)) if "past" in chosen else 0
    keys, depth = past + length, 24
    widths = [heads * size, heads * size, heads * value_size]
    ends = rng.integers(1, keys + 1, batch)
    masks = {
        "none": None,
        "ends": ends,
        "bounds": np.concatenate([ends, rng.integers(0, ends)]),
        "keys": padding(rng, batch, keys),
        "scores": padding(rng, batch, length, keys),
    }
    mask = masks[form]
    inputs: Arrays = {
        "input": normal(rng, batch, length, depth),
        "weights": normal(rng, depth, sum(widths)) / 4,
        "bias": normal(rng, sum(widths)),
        "mask": None if mask is None else mask.astype(np.int32),
        "past": normal(rng, 2, batch, heads, past, size) if past else None,
        "added": normal(rng, batch, heads, length, keys) if "added" in chosen else None,
    }
    attributes: dict[str, Any] = {"num_heads": heads, "unidirectional": int("causal" in chosen)}
    if "widths" in chosen:
        attributes["qkv_hidden_sizes"] = widths
    outputs = ["out", "present"] if past else ["out"]
    check(Case("Attention", inputs, outputs, ("weights", "bias"), **attributes), engine, tmp_path)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stage", ["prompt", "token"])
@pytest.mark.parametrize("chosen", on_or_off("packed", "rotary", "window", "softcap", "added"))
def test_group_query_attention(
    chosen: set[str], stage: str, seed: int, engine: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed + 20)
    batch = int(rng.integers(1, 4))
    kv_heads, group = (int(size) for size in rng.integers(1, 4, 2))
    heads, size = kv_heads * group, 16 * int(rng.integers(1, 4))
    if stage == "prompt":
        length = int(rng.integers(2, 20))
        totals, past = np.full(batch, length), 0
    else:
        length, past = 1, int(rng.integers(4, 40))
        totals = rng.integers(2, past + 2, batch)
        totals[0] = past + 1
    longest = int(totals.max())
    has = chosen.__contains__
    packed = has("packed")
    half = size // 2
    inputs: Arrays = {
        "query": normal(rng, batch, length, (heads + 2 * kv_heads * packed) * size),
        "key": None if packed else normal(rng, batch, length, kv_heads * size),
        "value": None if packed else normal(rng, batch, length, kv_heads * size),
        "past_key": normal(rng, batch, kv_heads, past, size),
        "past_value": normal(rng, batch, kv_heads, past, size),
        "seqlens": (totals - 1).astype(np.int32),
        "total": np.array([longest], np.int32),
        "cos": normal(rng, 64, half) if has("rotary") else None,
        "sin": normal(rng, 64, half) if has("rotary") else None,
        "positions": None,
        "added": normal(rng, 1, 1, length, longest) if has("added") else None,
    }
    attributes: dict[str, Any] = {"num_heads": heads, "kv_num_heads": kv_heads}
    if has("rotary"):
        attributes |= {"do_rotary": 1, "rotary_interleaved": seed % 2}
    if has("window"):
        attributes["local_window_size"] = int(rng.integers(1, longest + 1))
    if has("softcap"):
        attributes["softcap"] = 2.0
    outputs = ["out", "present_key", "present_value"]
    check(Case("GroupQueryAttention", inputs, outputs, **attributes), engine, tmp_path)


@pytest.mark.parametrize("sink", ["smooth", "heads"])
def test_group_query_attention_with_sinks(sink: str, engine: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    inputs: Arrays = {
        "query": normal(rng, 2, 6, 4 * 16),
        "key": normal(rng, 2, 6, 2 * 16),
        "value": normal(rng, 2, 6, 2 * 16),
        "past_key": None,
        "past_value": None,
        "seqlens": np.full(2, 5, np.int32),
        "total": np.array([6], np.int32),
        "cos": None,
        "sin": None,
        "positions": None,
        "added": None,
        "sinks": normal(rng, 4) if sink == "heads" else None,
    }
    attributes = {"smooth_softmax": 1} if sink == "smooth" else {}
    outputs = ["out", "present_key", "present_value"]
    case = Case("GroupQueryAttention", inputs, outputs, num_heads=4, kv_num_heads=2, **attributes)
    check(case, engine, tmp_path)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("partly", [False, True])
def test_rotary_embedding(
    interleaved: int, single: bool, rank: int, partly: bool, engine: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(6)
    batch, heads, length, size = 2, 3, 5, 32
    turned = 16 if partly else size
    shape = (batch, heads, length, size) if rank == 4 else (batch, length, heads * size)
    ids = np.array([7]) if single else rng.integers(0, 50, (batch, length))
    inputs: Arrays = {
        "x": normal(rng, *shape),
        "positions": ids.astype(np.int64),
        "cos": normal(rng, 50, turned // 2),
        "sin": normal(rng, 50, turned // 2),
    }
    attributes: dict[str, Any] = {"interleaved": interleaved}
    if partly:
        attributes |= {"rotary_embedding_dim": turned, "num_heads": heads}
    check(Case("RotaryEmbedding", inputs, ["y"], **attributes), engine, tmp_path)


@pytest.mark.parametrize("chosen", on_or_off("segments", "positions", "constant"))
def test_embed_layer_normalization(chosen: set[str], engine: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    batch, length, hidden = 2, 6, 40
    ids = lambda count: rng.integers(0, count, (batch, length)).astype(np.int32)  # noqa: E731
    segments = "segments" in chosen
    inputs: Arrays = {
        "ids": ids(3000),
        "segments": ids(2) if segments else None,
        "word": normal(rng, 3000, hidden),
        "position": normal(rng, 12, hidden),
        "segment": normal(rng, 2, hidden) if segments else None,
        "gamma": normal(rng, hidden),
        "beta": normal(rng, hidden),
        "mask": None,
        "position_ids": ids(12) if "positions" in chosen else None,
    }
    # The name before the tables moves them to an odd address in the file.
    fixed = ("word", "position", "gamma", "beta") if "constant" in chosen else ()
    case = Case("EmbedLayerNormalization", inputs, ["y", "", "sum"], fixed, epsilon=1e-5)
    check(case, engine, tmp_path)
