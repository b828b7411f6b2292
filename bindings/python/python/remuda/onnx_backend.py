"""Remuda as a backend of the `onnx` package: `onnx.backend.base.Backend` for its test suite and tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import helper
from onnx.backend.base import Backend, BackendRep, Device, DeviceType

from remuda._session import InferenceSession


class RemudaRep(BackendRep):
    """A prepared model."""

    def __init__(self, session: InferenceSession) -> None:
        self.session = session
        self._inputs = [port.name for port in session.get_inputs()]

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Runs with inputs by position, or by name where a mapping is given."""
        if isinstance(inputs, Mapping):
            feed = dict(inputs)
        else:
            given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            feed = dict(zip(self._inputs, given, strict=False))
        return tuple(self.session.run(None, feed))


class RemudaBackend(Backend):
    """The CPU, behind ONNX's interface."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> RemudaRep:
        """Loads a model."""
        return RemudaRep(InferenceSession(model.SerializeToString(), **kwargs))

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Any, ...]:
        """Loads a model and runs it once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Runs one operator on arrays; `opset_version` picks another opset than the newest of `onnx`."""
        version = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        given = [name for name in node.input if name]
        ports = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in zip(given, inputs, strict=True)
        ]
        results = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = helper.make_graph([node], "node", ports, results)
        opsets = [helper.make_opsetid(node.domain, version)]
        return cls.run_model(
            helper.make_model(graph, opset_imports=opsets), inputs, device, **kwargs
        )

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether this backend can run on `device`, in ONNX's words."""
        return bool(Device(device).type == DeviceType.CPU)


prepare = RemudaBackend.prepare
run_model = RemudaBackend.run_model
run_node = RemudaBackend.run_node
supports_device = RemudaBackend.supports_device
