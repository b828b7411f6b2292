"""Thousands of random blocks through the crate's own code, compared with gguf-py's and ggml's.

`cargo build -p remuda-tensor --example blocks` first; `REMUDA_TEST_TARGET` names the target folder.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gguf")

import oracle
from golden import same

ROOT = Path(__file__).parents[3]
TARGET = Path(os.environ.get("REMUDA_TEST_TARGET", ROOT / "target"))
PROGRAM = TARGET / "debug/examples/blocks"
if not PROGRAM.exists():
    reason = f"{PROGRAM} is not built: cargo build -p remuda-tensor --example blocks"
    pytest.skip(reason, allow_module_level=True)


def ours(verb: str, fmt: oracle.Format, data: np.ndarray) -> bytes:
    """What the crate makes of `data`."""
    call = [PROGRAM, verb, fmt.name]
    return subprocess.run(call, input=data.tobytes(), stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize("fmt", oracle.FORMATS, ids=lambda fmt: fmt.name)
def test_decoding_equals_every_oracle(fmt: oracle.Format) -> None:
    """Random blocks, a quarter of them with wild scales, decode to the same bits."""
    blocks = oracle.random_blocks(fmt, 4096, np.random.default_rng(7))
    got = np.frombuffer(ours("dequantize", fmt, blocks), dtype=np.float32)
    answers = oracle.decoders(fmt, blocks)
    if not answers:
        pytest.skip("no oracle without REMUDA_TEST_GGML")
    for name, want in answers.items():
        assert same(got, want), name


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("fmt", oracle.FORMATS, ids=lambda fmt: fmt.name)
def test_encoding_equals_every_oracle(fmt: oracle.Format, kind: int) -> None:
    """Values of every shape and of many sizes encode to the same bytes."""
    if not fmt.encodes:
        pytest.skip("decode only")
    if fmt.name == "iq4_nl" and kind == 2:
        pytest.skip("the reference leaves the places of an all-zero block to chance")
    rng = np.random.default_rng(11 + kind)
    sizes = np.exp(rng.uniform(-9, 9, (512, 1))).astype(np.float32)
    values = oracle.steps(512 * 256, kind, rng).reshape(512, 256).astype(np.float32)
    values = np.ascontiguousarray((values / np.float32(4096) * sizes).reshape(-1))
    got = np.frombuffer(ours("quantize", fmt, values), dtype=np.uint8)
    answers = oracle.encoders(fmt, values)
    if not answers:
        pytest.skip("no oracle without REMUDA_TEST_GGML")
    for name, want in answers.items():
        wrong = np.flatnonzero((got != want).reshape(-1, fmt.bytes).any(axis=1))
        assert wrong.size == 0, f"{name}: {wrong.size} blocks differ, first {wrong[:5]}"
