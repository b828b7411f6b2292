"""Writes `tests/data/quant/<format>.bin`, the vectors that `cargo test -p remuda-tensor` compares.

A file is: the number of blocks to decode (u32), then per block its bytes and its values (f32); the
number of runs to encode (u32), then per run 256 whole numbers (i16), their step (f32) and the
blocks. Needs both oracles: see `oracle.py`.
"""

import struct
from pathlib import Path

import numpy as np
import oracle

TARGET = Path(__file__).parents[3] / "tests/data/quant"
RUN = 256
STEP = np.float32(1 / 40960)


def agreed(answers: dict[str, np.ndarray], name: str) -> np.ndarray | None:
    """The one answer of all oracles."""
    first, *rest = answers.values() or [None]
    for other in rest:
        assert same(first, other), f"the oracles {list(answers)} differ on {name}"
    return first


def same(left: np.ndarray, right: np.ndarray) -> bool:
    """Equal bits; any NaN equals any other."""
    if left.dtype != np.float32:
        return np.array_equal(left, right)
    nan = np.isnan(left)
    return np.array_equal(nan, np.isnan(right)) and np.array_equal(
        left.view(np.uint32)[~nan], right.view(np.uint32)[~nan]
    )


def decode_part(fmt: oracle.Format, rng: np.random.Generator) -> bytes:
    """Blocks and what they mean."""
    ones = np.full((1, fmt.bytes), 0xFF, dtype=np.uint8)
    drawn = oracle.random_blocks(fmt, 3, rng)
    blocks = np.concatenate([drawn, ones, oracle.infinite_block(fmt, rng)])
    values = agreed(oracle.decoders(fmt, blocks), fmt.name).reshape(len(blocks), -1)
    pairs = zip(blocks, values, strict=True)
    return struct.pack("<I", len(blocks)) + b"".join(b.tobytes() + v.tobytes() for b, v in pairs)


def encode_part(fmt: oracle.Format, rng: np.random.Generator) -> bytes:
    """Values and the blocks that hold them."""
    runs = []
    for kind in range(5):
        steps = oracle.steps(RUN, kind, rng)
        blocks = agreed(oracle.encoders(fmt, steps.astype(np.float32) * STEP), fmt.name)
        if blocks is None:
            return struct.pack("<I", 0)
        if fmt.name == "iq4_nl" and kind == 2:
            continue  # the reference leaves the places of an all-zero block to chance
        runs.append(steps.tobytes() + STEP.tobytes() + blocks.tobytes())
    return struct.pack("<I", len(runs)) + b"".join(runs)


if __name__ == "__main__":
    assert oracle.LIBRARY is not None, "set REMUDA_TEST_GGML: several formats need ggml's C"
    TARGET.mkdir(parents=True, exist_ok=True)
    for index, fmt in enumerate(oracle.FORMATS):
        rng = np.random.default_rng(index)
        parts = decode_part(fmt, rng) + encode_part(fmt, rng)
        (TARGET / f"{fmt.name}.bin").write_bytes(parts)
