#!/usr/bin/env python3
"""What Remuda weighs: its files, the memory that loading a big model takes, and the processor time of a build.

    python tests/bench/bench_sizes.py --wheel FILE --program FILE      files and memory at load
    python tests/bench/bench_sizes.py --wheel FILE --build             builds the command line from nothing first
    python tests/bench/bench_sizes.py … --write-docs                   also records the table in docs/performance.md

The installed wheel loads the model, in a process of its own; ONNX Runtime does the same for comparison. The build
goes into an empty folder, which is removed afterwards, with the registry's crates there before; its time is that of
the processor, in all processes together.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

import external
from page import PAGE_NAME, ROOT, measured_on, record

WHEEL_MB = 15
LOADED_MB = 50
BUILD_S = 240


@dataclass
class Row:
    """A figure, what the project asks for, and ONNX Runtime's where it has one."""

    name: str
    figure: float
    unit: str
    goal: float | None = None
    peer: float | None = None

    def cells(self) -> list[str]:
        goal = "" if self.goal is None else f"{self.goal:g} {self.unit}"
        verdict = "" if self.goal is None else "reached" if self.reached else "**missed**"
        peer = "" if self.peer is None else f"{self.peer:.1f} {self.unit}"
        return [self.name, f"{self.figure:.1f} {self.unit}", peer, goal, verdict]

    @property
    def reached(self) -> bool:
        return self.goal is None or self.figure < self.goal


def main() -> int:
    options = arguments()
    rows = measure(options)
    for row in rows:
        print("  ".join(cell for cell in row.cells() if cell))
    if options.write_docs:
        record("bench_sizes", section(rows, options))
    return int(not all(row.reached for row in rows))


def arguments() -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel that is installed")
    parser.add_argument("--program", type=Path, default=target / "release" / "remuda")
    parser.add_argument("--build", action="store_true", help="build the program from nothing")
    parser.add_argument("--write-docs", action="store_true", help=f"write into {PAGE_NAME}")
    return parser.parse_args()


def measure(options: argparse.Namespace) -> list[Row]:
    rows = [Row("wheel", megabytes(options.wheel), "MB", WHEEL_MB)]
    if options.build:
        with tempfile.TemporaryDirectory(prefix="remuda-build-") as folder:
            seconds = build(Path(folder))
            rows.append(program(Path(folder) / "release" / "remuda"))
        rows.append(Row("release build of it, processor time", seconds, "s", BUILD_S))
    else:
        rows.append(program(options.program))
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = (
            external.load(engine, Path(folder))["loaded_mb"] for engine in ("remuda", "onnxruntime")
        )
    size = external.BYTES / 1e6
    rows.append(Row(f"memory to load a model of {size:.0f} MB", ours, "MB", LOADED_MB, theirs))
    return rows


def program(path: Path) -> Row:
    return Row("command line, one program", megabytes(path), "MB")


def megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def build(target: Path) -> float:
    """Seconds of processor time of a release build into an empty folder."""
    subprocess.run(["cargo", "fetch", "--locked"], cwd=ROOT, check=True)
    command = ["cargo", "build", "--release", "--locked", "--offline", "-p", "remuda-cli"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    before = children_seconds()
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return children_seconds() - before


def children_seconds() -> float:
    """Processor time of all processes that this one started and saw the end of, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def section(rows: list[Row], options: argparse.Namespace) -> str:
    """The part of the page that this script owns."""
    head = [
        "## Sizes and build",
        "",
        f"{measured_on()}. Remuda {version('remuda')}, ONNX Runtime {version('onnxruntime')}; {rustc()}.",
        "",
        f"    python tests/bench/bench_sizes.py --wheel FILE {'--build' if options.build else '--program FILE'}",
        "",
        "| | Remuda | ONNX Runtime | goal, below | |",
        "| :-- | --: | --: | --: | :-- |",
    ]
    return "\n".join([*head, *(f"| {' | '.join(row.cells())} |" for row in rows)])


def rustc() -> str:
    ended = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
