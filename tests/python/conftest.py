"""Paths and options that the tests in this folder share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "networks")]

ENGINES = ("remuda", "onnxruntime-plain", "reference")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=ENGINES,
        default="remuda",
        help="the runtime to compare with ONNX Runtime; the others check the tests themselves: ONNX Runtime "
        "without graph optimisations, and the slow evaluator of the onnx package",
    )
    parser.addoption("--backends", help="backends of Remuda, `onnxruntime:cpu,cpu`")
    parser.addoption("--library", type=Path, help="the library of the provider among them")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    backends = request.config.getoption("--backends")
    if not backends:
        return request.config.getoption("--engine")
    from sessions import write_plugins

    library = request.config.getoption("--library")
    plugins = write_plugins(tmp_path_factory.mktemp("remuda"), library)
    return f"remuda {backends} {plugins}"
