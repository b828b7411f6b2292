"""The process that `remuda bench --vs llama.cpp` starts, and the files that it is measured on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("gguf")

BENCH = Path(__file__).resolve().parents[1] / "bench"
sys.path.insert(0, str(BENCH))

from random_llama import MIXES, Shape, write  # noqa: E402

SCRIPT = BENCH.parents[1] / "bindings/cli/src/commands/bench/llama_cpp.py"
TINY = Shape(
    layers=3, features=256, inner=512, heads=4, kv_heads=2, head_size=64, vocabulary=300, context=64
)


@pytest.mark.parametrize("mix", MIXES)
def test_files_hold_moderate_weights(mix: str, tmp_path: Path) -> None:
    import gguf
    import numpy as np

    write(tmp_path / "tiny.gguf", mix, TINY)
    tensors = gguf.GGUFReader(tmp_path / "tiny.gguf").tensors
    matrices = [tensor for tensor in tensors if len(tensor.shape) > 1]
    assert len(matrices) == 1 + 7 * TINY.layers
    for tensor in matrices:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)
        assert 0.01 < values.std() < 0.04, tensor.name
        assert abs(values.mean()) < 0.01, tensor.name


@pytest.mark.parametrize("repack", ["on", "off"])
def test_llama_cpp_answers_every_order_with_a_time(repack: str, tmp_path: Path) -> None:
    llama_cpp = pytest.importorskip("llama_cpp")
    path = tmp_path / "tiny.gguf"
    write(path, "Q4_0", TINY)
    command = [sys.executable, "-c", SCRIPT.read_text(), str(path), "1", repack]
    orders = "8 0 1 0\n0 4 3 0\n4 2 1 8\n"
    ended = subprocess.run(command, input=orders, capture_output=True, text=True, check=True)
    first, *answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert first["version"] == llama_cpp.__version__
    assert len(answers) == 3
    assert all(0 < seconds < 60 for answer in answers for seconds in answer["seconds"])


def test_a_model_that_llama_cpp_does_not_load_is_an_answer(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    path = tmp_path / "none.gguf"
    path.write_bytes(b"GGUF")
    command = [sys.executable, "-c", SCRIPT.read_text(), str(path), "1", "on"]
    ended = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    assert set(json.loads(ended.stdout)) == {"error"}
