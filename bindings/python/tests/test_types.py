"""The stubs say what the module has, and the package passes a strict type checker."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("mypy")


def check(*command: str) -> None:
    ended = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_package_passes_mypy_strict() -> None:
    check("mypy", "--strict", "--no-incremental", "--ignore-missing-imports", "-p", "remuda")


def test_the_stubs_match_the_module() -> None:
    check("mypy.stubtest", "remuda._core")
