"""Providers that came as packages are found without running their code; broken ones are told of in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import models
import pytest
import remuda
from onnx import helper
from remuda._providers import installed
from test_libraries import library, needs_gcc


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    installed.cache_clear()
    yield tmp_path
    installed.cache_clear()


def install(folder: Path, name: str, module: str) -> None:
    info = folder / f"remuda_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: remuda-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[remuda.providers]\n{name} = {module}\n")


def package(folder: Path, name: str) -> Path:
    install(folder, name, f"remuda_{name}")
    own = folder / f"remuda_{name}"
    own.mkdir()
    (own / "__init__.py").write_text("raise RuntimeError('imported')")
    return own


def doctor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "remuda", "doctor", *arguments]
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@needs_gcc
def test_the_library_of_a_package_runs_models_and_the_package_is_not_imported(packages) -> None:
    library(package(packages, "example"))
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    model = models.model(nodes, [models.tensor("x", shape=[2])], [models.tensor("y", shape=[2])])
    runtime = remuda.Runtime(["example-c", "cpu"])
    session = runtime.load(model)
    assert session.get_providers() == ["example-c:cpu"]
    assert session.run_tensors(None, {"x": remuda.Tensor([-1.0, 2.0], "f32")})[0].tolist() == [0, 2]
    assert "remuda_example" not in sys.modules
    [found] = [one for one in runtime.libraries() if one["provider"] == "example-c"]
    assert (found["usable"], found["problem"], found["message"]) == (True, False, "ready")
    assert "example-c" in [device["provider"] for device in runtime.devices()]

    told = doctor(packages)
    assert (told.returncode, told.stderr) == (0, "")
    assert f"{packages}/remuda_example/libprovider.so: ready\n" in told.stdout
    assert "\nexample-c:cpu " in told.stdout


def test_broken_packages_are_told_of_in_words_and_the_cpu_goes_on(packages, monkeypatch) -> None:
    class Raises:
        @staticmethod
        def find_spec(name: str, *_: object) -> ModuleSpec | None:
            if name == "remuda_raises":
                raise RuntimeError("no luck")
            return None

    monkeypatch.setattr(sys, "meta_path", [Raises, *sys.meta_path])
    package(packages, "empty")
    install(packages, "gone", "remuda_gone")
    install(packages, "deep", "xml.sax")
    install(packages, "raises", "remuda_raises")
    install(packages, "unread", "")
    (packages / "remuda_unread-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff")
    install(packages, "others", "")
    foreign = packages / "others-1.0.dist-info"
    (packages / "remuda_others-1.0.dist-info").rename(foreign)
    (foreign / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (foreign / "entry_points.txt").write_bytes(b"\xff")

    runtime = remuda.Runtime(["cpu"])
    told = {one["path"]: one for one in runtime.libraries()}
    broken = "its package is broken: "
    expected = {
        str(packages / "remuda_empty"): "it holds no library",
        "remuda-gone": "there is no package `remuda_gone`",
        "remuda-deep": "expected its entry point to be the name of a package, got `xml.sax`",
        "remuda-raises": "package `remuda_raises` cannot be looked for: no luck",
    }
    for path, reason in expected.items():
        assert told[path]["message"] == broken + reason
        assert told[path]["problem"]
    assert told["remuda-unread"]["message"].startswith(broken + "its entry points cannot be read: ")
    assert told["remuda-gone"]["hint"] == "install `remuda-gone` again, or remove it"
    assert "others" not in told
    assert "cpu" in remuda.get_available_providers()


def test_the_doctor_leaves_with_1_where_a_package_is_broken(packages) -> None:
    install(packages, "gone", "remuda_gone")
    told = doctor(packages)
    assert told.returncode == 1
    line = "remuda-gone: its package is broken: there is no package `remuda_gone`\n"
    assert line + "  hint: install `remuda-gone` again, or remove it\n" in told.stdout

    report = json.loads(doctor(packages, "--json").stdout)
    assert [one["path"] for one in report["libraries"] if one["problem"]] == ["remuda-gone"]
    assert report["devices"][0]["provider"] == "cpu"

    plugins = packages / "plugins.toml"
    plugins.write_text("folders = []\n")
    assert doctor(packages, "--plugins", str(plugins)).returncode == 0
    plugins.write_text("folder = []\n")
    wrong = doctor(packages, "--plugins", str(plugins))
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: ") and "`folder`" in wrong.stderr
