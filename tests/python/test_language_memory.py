"""What a language model takes of memory: the plan, the real thing, and what is said when it does not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import remuda

gguf = pytest.importorskip("gguf")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from random_llama import MIXES, Shape, write  # noqa: E402

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
TINY = Shape(
    layers=1, features=256, inner=512, heads=4, kv_heads=2, head_size=64, vocabulary=300, context=64
)
# Of the plan.
BOUND = 0.05

# Anonymous memory after loading, and at the most while the whole context is used. What a first model takes that stays
# (threads, code that is made ready) belongs to the process.
PROBE = """
import json, pathlib, sys, threading
import remuda

def anonymous():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024

options = json.loads(sys.argv[3])
with remuda.Model(sys.argv[2], threads=2, **options) as small:
    next(iter(small.stream([5, 6, 7], 1)))
before = anonymous()
model = remuda.Model(sys.argv[1], threads=2, **options)
loaded = anonymous()
most, done = loaded, threading.Event()

def watch():
    global most
    while not done.wait(0.002):
        most = max(most, anonymous())

watcher = threading.Thread(target=watch)
watcher.start()
answer = list(model.stream([at % 3000 + 300 for at in range(model.info["context"] - 8)], 8, seed=1))
done.set()
watcher.join()
most = max(most, anonymous())
print(json.dumps({"loaded": loaded - before, "most": most - before, "answer": answer, **model.info}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    for mix in MIXES:
        write(folder / f"{mix}.gguf", mix, SHAPE)
    write(folder / "tiny.gguf", "Q8_0", TINY)
    return folder


def probe(folder: Path, mix: str, cache: str = "off", **options: Any) -> dict[str, Any]:
    """What a process of its own takes; nothing is kept from one to the next unless a cache is named."""
    files = [str(folder / f"{mix}.gguf"), str(folder / "tiny.gguf")]
    command = [sys.executable, "-c", PROBE, *files, json.dumps(options)]
    around = {**os.environ, "REMUDA_CACHE": cache}
    finished = subprocess.run(command, capture_output=True, text=True, env=around)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("mix", "options"),
    [
        ("Q8_0", {}),
        ("Q8_0", {"repack": False}),
        ("Q8_0", {"n_batch": 64, "cache_type": "q8_0"}),
        ("Q4_K_M", {}),
        ("F16", {}),
    ],
)
def test_the_plan_is_what_is_taken(folder: Path, mix: str, options: dict[str, Any]) -> None:
    seen = probe(folder, mix, **options)
    assert seen["context"] == CONTEXT
    assert (seen["packed_bytes"] > 0) == options.get("repack", True)
    planned = seen["cache_bytes"] + seen["packed_bytes"] + seen["work_bytes"]
    assert abs(seen["most"] - planned) <= BOUND * planned, seen
    assert seen["loaded"] <= planned


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("mix", ["Q8_0", "Q4_K_M", "F16"])
def test_a_second_start_maps_the_packed_weights(folder: Path, tmp_path: Path, mix: str) -> None:
    first = probe(folder, mix, cache=str(tmp_path))
    second = probe(folder, mix, cache=str(tmp_path))
    assert first["packed_bytes"] > 5_000_000
    assert first["most"] - second["most"] > 0.95 * first["packed_bytes"]
    assert second["answer"] == first["answer"]


def test_weights_that_are_not_packed_give_the_same_logits(folder: Path) -> None:
    tokens = list(range(300, 340))
    want = np.asarray(remuda.Model(folder / "Q8_0.gguf", n_ctx=64).logits(tokens))
    got = np.asarray(remuda.Model(folder / "Q8_0.gguf", n_ctx=64, repack=False).logits(tokens))
    # Rows go into products in 8 bits with packed weights, and in 32 without.
    assert np.abs(want - got).max() < 0.02 * np.abs(want).max()


def test_a_context_that_does_not_fit_is_refused_with_both_numbers(folder: Path) -> None:
    asked = 1 << 31
    message = (
        f"a context of {asked} positions needs [0-9]+ bytes of memory, there is room for [0-9]+"
    )
    with pytest.raises(remuda.ResourceError, match=message):
        remuda.Model(folder / "Q8_0.gguf", n_ctx=asked)
