"""The runtimes that can sit the suite, each behind ONNX's two-step `prepare(model)` and `run(inputs)`.

`remuda` is the one under test. `onnxruntime` is there for reference, and `reference` (the evaluator inside
the `onnx` package) checks the harness itself: what the suite's own oracle fails, nobody can pass.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

# It refuses newer files for their version number alone, also where it knows every operator in them.
NEWEST_IR_OF_ONNXRUNTIME = 13

NAMES = ("remuda", "onnxruntime", "reference")


@dataclass(frozen=True)
class Engine:
    """A runtime: its version, how it loads a model, and whether an exception is its typed refusal."""

    name: str
    version: str
    prepare: Callable[[onnx.ModelProto], Any]
    refuses: Callable[[BaseException], bool]
    # How many nodes of the model that was prepared last ran on which backend, as far as the runtime tells.
    ran: Callable[[], dict[str, int]] = dict


def load(name: str) -> Engine:
    """Imports the runtime called `name`; call it in the process that runs the cases.

    `remuda fake,cpu FILE` is Remuda with these backends and this `plugins.toml`; `remuda-only` lets nothing run
    elsewhere.
    """
    if name.startswith(("remuda ", "remuda-only ")):
        way, backends, plugins = name.split(" ", 2)
        strict = {"fallback": "error"} if way == "remuda-only" else {}
        contract = {"policy": "priority"}
        return _remuda(providers=backends.split(","), plugins=plugins, contract=contract, **strict)
    return {"remuda": _remuda, "onnxruntime": _onnxruntime, "reference": _reference}[name]()


def version(name: str) -> str:
    """The version of the installed distribution that holds the runtime `name`."""
    return importlib.metadata.version({"reference": "onnx"}.get(name, name))


def _remuda(**session: Any) -> Engine:
    import remuda
    import remuda.onnx_backend

    last: list[remuda.onnx_backend.RemudaRep] = []

    def prepare(model: onnx.ModelProto) -> remuda.onnx_backend.RemudaRep:
        last[:] = [remuda.onnx_backend.prepare(model, "CPU", **session)]
        return last[0]

    def ran() -> dict[str, int]:
        counts: Counter[str] = Counter()
        for rep in last:
            receipt = rep.session.last_receipt() or {"parts": []}
            for part in receipt["parts"]:
                counts[part["backend"]] += part["nodes"]
        return dict(counts)

    return Engine(
        name="remuda",
        version=remuda.__version__,
        prepare=prepare,
        refuses=lambda error: isinstance(error, (remuda.UnsupportedError, remuda.PlacementError)),
        ran=ran,
    )


def _reference() -> Engine:
    from onnx.reference import ReferenceEvaluator

    class Prepared:
        def __init__(self, model: onnx.ModelProto) -> None:
            self.evaluator = ReferenceEvaluator(model)

        def run(self, inputs: Sequence[Any]) -> list[Any]:
            return self.evaluator.run(None, dict(zip(self.evaluator.input_names, inputs)))

    return Engine(
        name="reference",
        version=onnx.__version__,
        prepare=Prepared,
        refuses=lambda error: isinstance(error, NotImplementedError),
    )


def _onnxruntime() -> Engine:
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

    from suite import ort_values

    onnxruntime.set_default_logger_severity(4)

    class Prepared:
        def __init__(self, model: onnx.ModelProto) -> None:
            readable = onnx.ModelProto()
            readable.CopyFrom(model)
            readable.ir_version = min(model.ir_version, NEWEST_IR_OF_ONNXRUNTIME)
            self.session = onnxruntime.InferenceSession(
                readable.SerializeToString(), providers=["CPUExecutionProvider"]
            )

        def run(self, inputs: Sequence[Any]) -> list[Any]:
            names = [value.name for value in self.session.get_inputs()]
            feeds = {name: value for name, value in zip(names, inputs) if value is not None}
            return ort_values.run(self.session, feeds)

    return Engine(
        name="onnxruntime",
        version=onnxruntime.__version__,
        prepare=Prepared,
        refuses=lambda error: isinstance(error, NoKernel),
    )
