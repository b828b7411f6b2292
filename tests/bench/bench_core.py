#!/usr/bin/env python3
"""Measures what placement itself costs: the way through a provider's table, loading a provider, planning.

    python tests/bench/bench_core.py [--write-docs] [--check]

Runs the examples that print the figures, built with optimisation, and holds them against what the project asks of
itself.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from page import PAGE_NAME, ROOT, measured_on, record

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
# A provider with all kernels of the CPU in it.
LIBRARY = TARGET / "release" / "examples" / "libremuda_fake.so"


@dataclass(frozen=True)
class Figure:
    what: str
    value: float
    unit: str
    goal: float

    @property
    def reached(self) -> bool:
        return self.value <= self.goal

    def row(self) -> str:
        verdict = "reached" if self.reached else "**missed**"
        value, goal = f"{self.value:.1f} {self.unit}", f"{self.goal:g} {self.unit}"
        return f"| {self.what} | {value} | {goal} | {verdict} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE_NAME}")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    options = parser.parse_args()
    figures = [*overhead(), *loading(), *planning()]
    for figure in figures:
        print(figure.row())
    if options.write_docs:
        record("bench_core", section(figures))
    return int(options.check and not all(figure.reached for figure in figures))


def cargo(command: str, package: str, example: str, *arguments: str) -> str:
    """What cargo prints when it builds or runs an example with optimisation."""
    words = ["cargo", command, "--quiet", "--release", "-p", package, "--example", example]
    words += ["--", *arguments] if arguments else []
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def find(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"expected `{pattern}` in:\n{text}")
    return float(found[1])


def overhead() -> list[Figure]:
    text = cargo("run", "remuda-exec", "overhead")
    what = "a graph of 1,000 tiny operators, on top of calling the kernels"
    table = find(r"provider's table .* ([+-]\d+\.\d+) %", text)
    session = find(r"by a session .* ([+-]\d+\.\d+) %", text)
    return [
        Figure(f"{what}: through the provider's table", table, "%", 3),
        Figure(f"{what}: by a session", session, "%", 3),
    ]


def loading() -> list[Figure]:
    cargo("build", "remuda-fake", "remuda_fake")
    text = cargo("run", "remuda-host", "loading", str(LIBRARY))
    loaded = find(r"library loaded +(\d+\.\d+) ms", text)
    return [Figure("checking and loading a provider's library", loaded, "ms", 5)]


def planning() -> list[Figure]:
    figures = []
    for line in cargo("run", "remuda-plan", "bench").splitlines():
        name = re.split(r"  +", line, maxsplit=1)[0]
        plan, stored = find(r": plan (\d+\.\d+) ms", line), find(r"cached (\d+\.\d+) ms", line)
        figures.append(Figure(f"a plan for {name}", plan, "ms", 200))
        figures.append(Figure(f"taking up a stored plan for {name}", stored, "ms", 10))
    return figures


def section(figures: list[Figure]) -> str:
    """The part of the page that this script owns."""
    head = [
        "## What placement itself costs",
        "",
        f"{measured_on()}. One thread. Medians of interleaved runs; of planning, over 2,000 nodes and 4 backends, the "
        "fastest of five in time of the planning thread. A stored plan is read, held against its hash, and checked "
        "from the ground up before it is used.",
        "",
        "    python tests/bench/bench_core.py",
        "",
        "| | measured | goal | |",
        "| :-- | --: | --: | :-- |",
    ]
    return "\n".join([*head, *(figure.row() for figure in figures)])


if __name__ == "__main__":
    sys.exit(main())
