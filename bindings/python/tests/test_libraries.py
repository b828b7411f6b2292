"""Provider libraries from Python: tried in a process of their own, and against the contract.

The libraries are the repository's provider in C, as it is and with a piece of it broken.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import models
import pytest
import remuda
from onnx import helper

PROVIDERS = Path(__file__).parents[3] / "providers"

needs_gcc = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="builds libraries with gcc"
)
pytestmark = needs_gcc


def library(folder: Path, piece: str = "", instead: str = "") -> Path:
    source = (PROVIDERS / "example-c" / "example.c").read_text()
    assert piece in source
    (folder / "provider.c").write_text(source.replace(piece, instead, 1) if piece else source)
    out = folder / "libprovider.so"
    include = PROVIDERS / "abi" / "include"
    command = ["gcc", "-std=gnu99", "-w", "-fPIC", "-shared", "-I", include, "-o", out]
    subprocess.run([*command, folder / "provider.c"], check=True)
    return out


def runtime(folder: Path, backends: list) -> remuda.Runtime:
    file = folder / "plugins.toml"
    file.write_text('folders = []\n[[provider]]\nlibrary = "libprovider.so"\n')
    return remuda.Runtime(backends, plugins=file)


def test_a_library_that_crashes_leaves_the_interpreter_alone(tmp_path) -> None:
    library(tmp_path, "return *out = (remuda_instance *)&nothing, OK;", "abort();")
    assert runtime(tmp_path, ["cpu"]).backends == ["cpu"]
    with pytest.raises(remuda.Error, match="example-c"):
        runtime(tmp_path, ["example-c"])


def test_a_good_library_is_tried_and_used(tmp_path) -> None:
    library(tmp_path)
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    model = models.model(nodes, [models.tensor("x", shape=[3])], [models.tensor("y", shape=[3])])
    session = runtime(tmp_path, ["example-c", "cpu"]).load(model)
    assert session.get_providers() == ["example-c:cpu"]


def kit(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "remuda", "conform", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_conformance_kit_runs_in_the_interpreter(tmp_path) -> None:
    good = kit(library(tmp_path), "--only", "abi/*", "--only", "ops/Add/*")
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("example-c 1.0.0  cpu:0\n")
    assert good.stdout.endswith("it keeps to the contract\n")

    bad = kit(
        library(tmp_path, "left[at] + right[at]", "left[at] - right[at]"), "--only", "ops/Add/*"
    )
    assert bad.returncode == 1
    assert "failed: library/accepted\n" in bad.stdout

    wrong = kit("cpu", "--only", "ops/Ad/*")
    assert (wrong.returncode, wrong.stderr) == (2, "error: no case is called `ops/Ad/*`\n")
