"""Seeded weights: every tensor's values follow from its name and dimensions, here and wherever its model is built."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]

# Large enough that answers differ.
OF_MATRICES = 0.08
OF_VECTORS = 0.1


def seeded(name: str, shape: Sequence[int], spread: float, mean: float = 0.0) -> Array:
    """Normal values, by a generator whose numbers NumPy has promised to keep."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    return (mean + spread * random.standard_normal(shape)).astype(np.float32)


def weights(
    shapes: Mapping[str, Sequence[int]], *, scale: float = 1.0, spread: float = OF_MATRICES
) -> dict[str, Array]:
    """Weights of these names and dimensions, the scales of norms around `scale`."""

    def made(name: str, shape: Sequence[int]) -> Array:
        if len(shape) > 1:
            return seeded(name, shape, spread)
        norm = name.endswith(".weight")
        return seeded(name, shape, OF_VECTORS, scale if norm else 0.0)

    return {name: made(name, shape) for name, shape in shapes.items()}
