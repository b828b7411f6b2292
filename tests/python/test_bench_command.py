"""The process that `remuda bench --vs onnxruntime` starts: ONNX Runtime on the bundled model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CLI = Path(__file__).resolve().parents[2] / "bindings/cli"
SCRIPT = CLI / "src/commands/bench/onnxruntime.py"
MODEL = CLI / "assets/digits.onnx"
IMAGE = CLI / "assets/seven.npy"


def answers(model: Path, orders: str) -> list[dict[str, object]]:
    inputs = json.dumps({"image": str(IMAGE)})
    command = [sys.executable, "-c", SCRIPT.read_text(), str(model), "1", inputs]
    ended = subprocess.run(command, input=orders, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_each_order_is_answered_with_as_many_times() -> None:
    import onnxruntime

    first, three, one = answers(MODEL, "3\n1\n")
    assert first == {"version": onnxruntime.__version__}
    for answer, runs in ((three, 3), (one, 1)):
        seconds = answer["seconds"]
        assert isinstance(seconds, list)
        assert len(seconds) == runs
        assert all(0 < time < 60 for time in seconds)


def test_a_model_that_does_not_load_is_an_answer() -> None:
    (answer,) = answers(IMAGE, "1\n")
    assert set(answer) == {"error"}
