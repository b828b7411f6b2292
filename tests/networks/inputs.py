"""Seeded input data for the networks, drawn from the descriptions in `catalog.json`. Needs numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Input:
    """One graph input: what its numbers mean and a shape of numbers and named sizes.

    Kinds: `normal` (standard normal), `tokens` (ids below `high`), `zeros`, `ones`, `positions` (counting on
    from the size `past`), `mask` (a row of ones with
    zeros behind, at least one 1). A size may be a sum such as `past + tokens`.
    """

    kind: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"
    high: int = 0

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Input:
        return Input(**{**value, "shape": tuple(value["shape"])})


def resolve(shape: tuple[int | str, ...], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Puts numbers in place of the named sizes."""

    def number(dimension: int | str) -> int:
        if isinstance(dimension, int):
            return dimension
        return sum(sizes[term.strip()] for term in dimension.split("+"))

    return tuple(map(number, shape))


def draw(spec: Input, sizes: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
    """One array for `spec`."""
    shape = resolve(spec.shape, sizes)
    if spec.kind == "normal":
        return rng.standard_normal(shape, np.float32).astype(spec.dtype)
    if spec.kind == "tokens":
        return rng.integers(0, spec.high, shape).astype(spec.dtype)
    if spec.kind in ("zeros", "ones"):
        return np.full(shape, int(spec.kind == "ones"), spec.dtype)
    if spec.kind == "positions":
        return np.broadcast_to(sizes.get("past", 0) + np.arange(shape[-1]), shape).astype(
            spec.dtype
        )
    if spec.kind == "mask":
        lengths = rng.integers(1, shape[-1] + 1, (*shape[:-1], 1))
        lengths[0] = shape[-1]
        return (np.arange(shape[-1]) < lengths).astype(spec.dtype)
    raise ValueError(f"unknown kind of input `{spec.kind}`")


def feeds(specs: Mapping[str, Input], sizes: Mapping[str, int], seed: int) -> dict[str, np.ndarray]:
    """Arrays for all inputs of a network."""
    rng = np.random.default_rng(seed)
    return {name: draw(spec, sizes, rng) for name, spec in specs.items()}
