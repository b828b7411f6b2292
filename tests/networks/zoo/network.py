"""How a network is described: a torch module with seeded weights, and the inputs it takes.

The input descriptions end up in `catalog.json`, from which tests and benchmarks draw their data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import torch

import skeleton
from inputs import Input, draw


@dataclass
class Network:
    """One export: `build` returns the module, whose positional arguments are `inputs` in order, or the graph itself.

    A network with BatchNorm names in `settle_on` the shape of the data that its statistics come from.
    """

    name: str
    family: str
    opset: int
    build: Callable[[], torch.nn.Module | onnx.ModelProto]
    inputs: dict[str, Input]
    outputs: list[str]
    sizes: list[dict[str, int]]
    bench: dict[str, int]
    output_axes: dict[str, Sequence[str | int]] = field(default_factory=dict)
    exporter: str = "torchscript"
    settle_on: Sequence[int] | None = None
    finish: Callable[[onnx.ModelProto], onnx.ModelProto] = lambda model: model

    def samples(self, sizes: dict[str, int], seed: int = 0) -> tuple[torch.Tensor, ...]:
        rng = np.random.default_rng(seed)
        return tuple(torch.from_numpy(draw(spec, sizes, rng)) for spec in self.inputs.values())


def redraw_weights(module: torch.nn.Module) -> dict[str, str]:
    """Replaces weights by what their descriptions draw, so that a filled skeleton holds the same ones."""
    descriptions = {}
    for name, parameter in module.named_parameters():
        if parameter.dim() > 1 and parameter.numel() > skeleton.SMALL:
            descriptions[name] = skeleton.describe(name, parameter.detach().numpy())
            numbers = skeleton.draw(descriptions[name], tuple(parameter.shape))
            parameter.data.copy_(torch.from_numpy(numbers))
    return descriptions


def settle_batch_norm(module: torch.nn.Module, shape: Sequence[int], batches: int = 4) -> None:
    """Lets fresh BatchNorm layers see normal data, so that activations keep their scale in depth."""
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    module.train()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _ in range(batches):
            module(torch.randn(*shape, generator=generator))
    module.eval()
