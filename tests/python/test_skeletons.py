"""Skeletons keep what a network needs: what `strip` describes, `fill` brings back in kind."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

import skeleton
from catalog import SKELETONS, Entry, load_catalog

ENTRIES = load_catalog()


def model_with(**tensors: np.ndarray) -> ModelProto:
    initializers = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    return helper.make_model(helper.make_graph([], "weights", [], [], initializers))


def there_and_back(
    weights: skeleton.Weights, **tensors: np.ndarray
) -> tuple[int, dict[str, np.ndarray]]:
    """The skeleton's size in bytes and the tensors it is filled with."""
    model = model_with(**tensors)
    skeleton.strip(model, weights)
    size = model.ByteSize()
    skeleton.fill(model)
    return size, {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def normal(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def test_large_weights_come_back_with_their_distribution() -> None:
    original = 0.3 + 0.05 * normal(64, 128)
    size, filled = there_and_back(skeleton.Weights(), w=original)
    assert size < 300
    assert filled["w"].shape == original.shape
    assert filled["w"].mean() == pytest.approx(original.mean(), abs=1e-2)
    assert filled["w"].std() == pytest.approx(original.std(), rel=0.1)
    assert original.min() <= filled["w"].min() <= filled["w"].max() <= original.max()


def test_small_tensors_masks_and_indices_come_back_unchanged() -> None:
    mask = np.where(np.tri(40, dtype=bool), np.float32(0), np.float32(-np.inf))
    tensors = {"small": normal(16, 16), "mask": mask, "indices": np.arange(5000)}
    _, filled = there_and_back(skeleton.Weights(), **tensors)
    for name, original in tensors.items():
        np.testing.assert_array_equal(filled[name], original)


def test_drawn_weights_come_back_exactly_also_per_channel_quantised() -> None:
    description = skeleton.describe("conv.weight", normal(32, 16, 3, 3))
    original = skeleton.draw(description, (32, 16, 3, 3))
    largest = np.abs(original).max(axis=(1, 2, 3), keepdims=True)
    quantised = np.rint(original * 127 / largest).astype(np.int8)
    weights = skeleton.Weights({"conv.weight": description})
    tensors = {"conv.weight": original, "conv.weight_quantized": quantised}
    size, filled = there_and_back(weights, **tensors)
    assert size < 500
    np.testing.assert_array_equal(filled["conv.weight"], original)
    difference = filled["conv.weight_quantized"].astype(int) - quantised
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 1e-3


def test_kept_vectors_lose_only_their_lower_bits() -> None:
    original = np.exp(normal(2000) * 5)
    size, filled = there_and_back(skeleton.Weights(keep_vectors=True), variance=original)
    assert size < 2000 * 2 + 200
    np.testing.assert_allclose(filled["variance"], original, rtol=2**-7)


def test_every_network_has_a_skeleton_and_every_skeleton_a_network() -> None:
    assert {entry.skeleton.name for entry in ENTRIES} == {p.name for p in SKELETONS.iterdir()}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_skeleton_is_small_and_lists_known_inputs(entry: Entry) -> None:
    data = entry.skeleton.read_bytes()
    assert len(data) <= 200_000
    model = ModelProto.FromString(data)
    initializers = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in initializers]
    assert set(inputs) <= set(entry.inputs)
