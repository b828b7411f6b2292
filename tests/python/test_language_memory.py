"""What a language model takes of memory: the plan, the real thing, and what is said when it does not fit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import remuda

gguf = pytest.importorskip("gguf")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from random_llama import Shape, write  # noqa: E402

CONTEXT = 4096
SHAPE = Shape(
    layers=4,
    features=512,
    inner=1536,
    heads=8,
    kv_heads=8,
    head_size=64,
    vocabulary=4000,
    context=CONTEXT,
)
# Of the plan.
BOUND = 0.05

PROBE = """
import json, pathlib, sys
import remuda

def anonymous():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024

repack = sys.argv[2] == "on"
with remuda.Model(sys.argv[3], threads=2, repack=repack) as small:
    small.stream([5, 6, 7], 1).__next__()
before = anonymous()
model = remuda.Model(sys.argv[1], threads=2, repack=repack)
loaded = anonymous()
list(model.stream([at % 3000 + 300 for at in range(model.info["context"] - 8)], 8, seed=1))
print(json.dumps({"loaded": loaded - before, "full": anonymous() - before, **model.info}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    write(folder / "m.gguf", "Q8_0", SHAPE)
    tiny = Shape(
        layers=1,
        features=256,
        inner=512,
        heads=4,
        kv_heads=2,
        head_size=64,
        vocabulary=300,
        context=64,
    )
    write(folder / "tiny.gguf", "Q8_0", tiny)
    return folder


def probe(folder: Path, repack: str) -> dict[str, Any]:
    command = [sys.executable, "-c", PROBE, folder / "m.gguf", repack, folder / "tiny.gguf"]
    finished = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("repack", ["on", "off"])
def test_the_plan_is_what_is_taken(folder: Path, repack: str) -> None:
    seen = probe(folder, repack)
    assert seen["context"] == CONTEXT
    assert (seen["packed_bytes"] > 0) == (repack == "on")
    planned = seen["cache_bytes"] + seen["packed_bytes"] + seen["work_bytes"]
    assert abs(seen["full"] - planned) <= BOUND * planned, seen
    assert seen["loaded"] <= planned


def test_weights_that_are_not_packed_give_the_same_logits(folder: Path) -> None:
    tokens = list(range(300, 340))
    want = np.asarray(remuda.Model(folder / "m.gguf", n_ctx=64).logits(tokens))
    got = np.asarray(remuda.Model(folder / "m.gguf", n_ctx=64, repack=False).logits(tokens))
    # Rows go into products in 8 bits with packed weights, and in 32 without.
    assert np.abs(want - got).max() < 0.02 * np.abs(want).max()


def test_a_context_that_does_not_fit_is_refused_with_both_numbers(folder: Path) -> None:
    asked = 1 << 31
    message = (
        f"a context of {asked} positions needs [0-9]+ bytes of memory, there is room for [0-9]+"
    )
    with pytest.raises(remuda.ResourceError, match=message):
        remuda.Model(folder / "m.gguf", n_ctx=asked)
