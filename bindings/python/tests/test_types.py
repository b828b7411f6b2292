"""The stubs say what the module has, and the package passes a strict type checker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import remuda

pytest.importorskip("mypy")

PACKAGE = Path(remuda.__file__).parent


def check(*command: str) -> None:
    ended = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_package_passes_mypy_strict() -> None:
    check("mypy", "--strict", "--no-incremental", "--ignore-missing-imports", str(PACKAGE))


def test_the_stubs_match_the_module() -> None:
    check("mypy.stubtest", "remuda._core")
