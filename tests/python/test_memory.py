"""Loading a big model maps its weights instead of reading them.

The model's external data is a file of 500 MB with a hole for contents: it has the size on paper and takes no room on
the disk. A process of its own loads it, since memory is counted per process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

WEIGHT_COUNT = 10
ROWS = 3600
COLUMNS = 3600
BYTES_PER_WEIGHT = ROWS * COLUMNS * 4
LIMIT_MB = 50

PROBE = """
import json, pathlib, sys
import numpy, onnxruntime
sys.path.insert(0, sys.argv[1])
from sessions import open_session

def resident_mb():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

open_session(sys.argv[2], pathlib.Path(sys.argv[3])).get_inputs()
before = resident_mb()
session = open_session(sys.argv[2], pathlib.Path(sys.argv[4]))
loaded = resident_mb()
x = numpy.zeros((1, session.get_inputs()[0].shape[1]), numpy.float32)
outputs = session.run(None, {"x": x})
print(json.dumps({"loaded_mb": loaded - before, "shape": list(outputs[0].shape)}))
"""


def chain(path: Path, weights: int, size: int, offset_step: int) -> None:
    """A product with each of `weights` square matrices, all in one external file."""
    tensors = []
    for index in range(weights):
        tensor = TensorProto(name=f"w{index}", data_type=TensorProto.FLOAT, dims=[size, size])
        tensor.data_location = TensorProto.EXTERNAL
        entries = {"location": f"{path.stem}.data", "offset": index * offset_step}
        entries["length"] = size * size * 4
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=str(value))
        tensors.append(tensor)
    names = ["x", *(f"y{index}" for index in range(weights))]
    nodes = [
        helper.make_node("MatMul", [names[index], f"w{index}"], [names[index + 1]])
        for index in range(weights)
    ]
    value = helper.make_tensor_value_info
    inputs = [value("x", TensorProto.FLOAT, ["batch", size])]
    outputs = [value(names[-1], TensorProto.FLOAT, ["batch", size])]
    graph = helper.make_graph(nodes, "chain", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    with path.with_suffix(".data").open("wb") as data:
        data.truncate(weights * offset_step)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_external_data_does_not_read_it(engine: str, tmp_path: Path) -> None:
    if engine != "remuda":
        pytest.skip("a promise of Remuda alone, which other engines need not keep")
    small, big = tmp_path / "small.onnx", tmp_path / "big.onnx"
    chain(small, 1, 8, 4096)
    chain(big, WEIGHT_COUNT, ROWS, BYTES_PER_WEIGHT)
    assert onnx.load(big, load_external_data=False).graph.initializer[0].dims == [ROWS, COLUMNS]
    assert WEIGHT_COUNT * BYTES_PER_WEIGHT > 500_000_000
    probe = [sys.executable, "-c", PROBE, str(Path(__file__).parent), engine, str(small), str(big)]
    finished = subprocess.run(probe, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    seen = json.loads(finished.stdout)
    assert seen["shape"] == [1, COLUMNS]
    assert seen["loaded_mb"] < LIMIT_MB
