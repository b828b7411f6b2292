"""Loading a big model maps its weights instead of reading them."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest

import external

LIMIT_MB = 50


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_external_data_does_not_read_it(engine: str, tmp_path: Path) -> None:
    if engine != "remuda":
        pytest.skip("a promise of Remuda alone, which other engines need not keep")
    seen = external.load(engine, tmp_path)
    model = onnx.load(tmp_path / "big.onnx", load_external_data=False)
    assert list(model.graph.initializer[0].dims) == [external.ROWS, external.ROWS]
    assert external.BYTES > 500_000_000
    assert seen["shape"] == [1, external.ROWS]
    assert seen["loaded_mb"] < LIMIT_MB
