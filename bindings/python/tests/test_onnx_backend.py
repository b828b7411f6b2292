"""The backend for ONNX's tools; its whole suite is run by `tests/python/backend_suite.py`."""

from __future__ import annotations

import models
import numpy as np
import onnx
import remuda.onnx_backend
from onnx import helper


def test_a_prepared_model_runs_by_position_and_by_name() -> None:
    model = onnx.load_from_string(models.add())
    x = np.ones(2, np.float32)
    prepared = remuda.onnx_backend.prepare(model)
    for inputs in ([x, x], (x, x), {"a": x, "b": x}):
        [total] = prepared.run(inputs)
        np.testing.assert_array_equal(total, [2, 2])
    [total] = remuda.onnx_backend.run_model(model, [x, x])
    np.testing.assert_array_equal(total, [2, 2])


def test_one_node_runs_without_a_model() -> None:
    node = helper.make_node("Add", ["x", "y"], ["z"])
    x = np.ones(2, np.float32)
    [total] = remuda.onnx_backend.run_node(node, [x, x])
    np.testing.assert_array_equal(total, [2, 2])


def test_only_the_cpu_is_supported() -> None:
    assert remuda.onnx_backend.supports_device("CPU")
    assert not remuda.onnx_backend.supports_device("CUDA")
