"""Opens a model in one of the runtimes that the tests compare; all answer `run(None, {name: array})`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from onnx import version_converter

# The evaluator of the onnx package knows the quantisation operators from this opset on.
OPSET_OF_REFERENCE = 21


def open_session(engine: str, path: Path, threads: int = 2) -> Any:
    if engine == "remuda":
        import remuda

        return remuda.InferenceSession(str(path))
    if engine.startswith("remuda "):
        return open_placed(engine, path, threads)
    if engine == "reference":
        return open_reference(path)
    return open_onnxruntime(path, threads, optimized=engine == "onnxruntime")


def open_placed(engine: str, path: Path, threads: int = 2) -> Any:
    """`remuda fake,cpu FILE` is Remuda with these backends and this `plugins.toml`.

    The first backend runs whatever it can: what is faster is not the question, unless `auto` asks it.
    """
    import remuda

    _, backends, plugins = engine.split(" ", 2)
    contract = None if backends == "auto" else {"policy": "priority"}
    runtime = remuda.Runtime(backends.split(","), threads, plugins=plugins, contract=contract)
    return runtime.load(str(path))


def write_plugins(folder: Path, *libraries: Path) -> Path:
    """A `plugins.toml` that loads these libraries and no others."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{'-'.join(['plugins', *(library.stem for library in libraries)])}.toml"
    entries = (f'[[provider]]\nlibrary = "{library.resolve()}"\n' for library in libraries)
    file.write_text('folders = []\nisolation = "none"\n' + "".join(entries))
    return file


def open_onnxruntime(path: Path, threads: int = 2, optimized: bool = True) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if not optimized:
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def open_reference(path: Path) -> Any:
    from onnx.reference import ReferenceEvaluator

    model = onnx.load(path)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets.get("", 0) < OPSET_OF_REFERENCE and set(opsets) == {""}:
        model = version_converter.convert_version(model, OPSET_OF_REFERENCE)
    return ReferenceEvaluator(model)
