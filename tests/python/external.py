"""A model of 500 MB of external data, and the memory that a process of its own needs to load it.

The data is a file with a hole for contents: it has the size on paper and takes no room on the disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

WEIGHT_COUNT = 10
ROWS = 3600
BYTES_PER_WEIGHT = ROWS * ROWS * 4
BYTES = WEIGHT_COUNT * BYTES_PER_WEIGHT

PROBE = """
import json, pathlib, sys
import numpy, onnxruntime
sys.path.insert(0, sys.argv[1])
from sessions import open_session

def resident_mb(kind):
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split(kind + ":")[1].split()[0]) / 1024

open_session(sys.argv[2], pathlib.Path(sys.argv[3])).get_inputs()
# The peak from here on: that of the imports may be higher than what they left behind.
pathlib.Path("/proc/self/clear_refs").write_text("5")
before = resident_mb("VmRSS")
session = open_session(sys.argv[2], pathlib.Path(sys.argv[4]))
loaded = resident_mb("VmHWM")
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


def load(engine: str, folder: Path) -> dict[str, Any]:
    """Loads the big model after a small one: the megabytes that it took, and the shape of an answer of it."""
    small, big = folder / "small.onnx", folder / "big.onnx"
    chain(small, 1, 8, 4096)
    chain(big, WEIGHT_COUNT, ROWS, BYTES_PER_WEIGHT)
    probe = [sys.executable, "-c", PROBE, str(Path(__file__).parent), engine, str(small), str(big)]
    finished = subprocess.run(probe, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)
