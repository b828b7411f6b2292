#!/usr/bin/env python3
"""Times Remuda and ONNX Runtime side by side on the real networks: same file, same data, same threads.

    python tests/bench/bench_vs_onnxruntime.py                     float networks, 1 and 2 threads
    python tests/bench/bench_vs_onnxruntime.py --precision int8    quantised ones
    python tests/bench/bench_vs_onnxruntime.py --write-docs        also records the table in docs/performance.md
    python tests/bench/bench_vs_onnxruntime.py --backends onnxruntime:cpu,cpu --library LIBRARY
                                                                   what the way through Remuda costs ONNX Runtime

Each runtime lives in a process of its own, so that memory is told apart and no idle thread pool is in the way; the
two take turns in short rounds, so that a change of the machine's mood hits both. Shown are medians over all runs.
"""

from __future__ import annotations

import argparse
import math
import platform
import re
import shlex
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "networks"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

from catalog import Entry, load_catalog
from materialize import materialize
from page import PAGE_NAME, measured_on, record
from side import Side

# What the project asks of itself, as multiples of ONNX Runtime's figure.
WORST_OF_ALL = 3.0
MEAN_OF_ALL = 1.6
MEAN_OF_TRANSFORMERS = 1.25
MEMORY = 1.25
# The same kernels, reached through Remuda.
MEAN_THROUGH_REMUDA = 1.03


@dataclass
class Row:
    """One network at one number of threads: medians in milliseconds, memory in megabytes."""

    entry: Entry
    threads: int
    ours_ms: float
    theirs_ms: float
    ours_mb: float
    theirs_mb: float

    @property
    def time_ratio(self) -> float:
        return self.ours_ms / self.theirs_ms

    @property
    def memory_ratio(self) -> float:
        return self.ours_mb / self.theirs_mb


def main() -> int:
    options = arguments()
    entries = [
        entry
        for entry in load_catalog()
        if entry.precision == options.precision and re.search(options.networks, entry.name)
    ]
    if not entries:
        print(f"no `{options.precision}` network matches `{options.networks}`", file=sys.stderr)
        return 2
    rows = []
    for entry in entries:
        for threads in options.threads:
            rows.append(measure(entry, threads, options))
            print(line(rows[-1]), flush=True)
    print()
    print("\n".join(summary(rows, options.threads)))
    if options.write_docs:
        record(
            "bench_vs_onnxruntime" + ("_through" if options.backends else ""),
            section(rows, options),
        )
    broken = complaints_of_the_way(rows) if options.backends else complaints(rows)
    for complaint in broken:
        print(f"over the limit: {complaint}", file=sys.stderr)
    return int(options.check and bool(broken))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", default="remuda", choices=["remuda", "onnxruntime-plain"])
    parser.add_argument("--backends", metavar="NAMES", help="backends of Remuda")
    parser.add_argument("--library", type=Path, help="the library of the provider among them")
    parser.add_argument("--networks", default="", metavar="REGEX")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="per round and runtime")
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE_NAME}")
    parser.add_argument("--check", action="store_true", help="exit 1 when a limit is exceeded")
    options = parser.parse_args()
    if options.backends:
        from sessions import write_plugins

        folder = Path(tempfile.gettempdir()) / "remuda-bench"
        plugins = write_plugins(folder, options.library)
        options.engine = f"remuda {options.backends} {plugins}"
    return options


def measure(entry: Entry, threads: int, options: argparse.Namespace) -> Row:
    path = materialize(entry)
    with (
        Side(options.engine, entry, path, threads) as ours,
        Side("onnxruntime", entry, path, threads) as theirs,
    ):
        times: dict[Side, list[float]] = {ours: [], theirs: []}
        for turn in range(options.rounds):
            for side in (ours, theirs) if turn % 2 == 0 else (theirs, ours):
                times[side] += side.run_for(options.seconds)
        return Row(
            entry,
            threads,
            median(times[ours]) * 1e3,
            median(times[theirs]) * 1e3,
            ours.peak_mb(),
            theirs.peak_mb(),
        )


def line(row: Row) -> str:
    return (
        f"{row.entry.name:<28} {row.threads} threads {row.ours_ms:9.2f} ms {row.theirs_ms:9.2f} ms "
        f"{row.time_ratio:6.2f}x {row.ours_mb:7.0f} MB {row.theirs_mb:7.0f} MB {row.memory_ratio:6.2f}x"
    )


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def groups(rows: list[Row], threads: int) -> dict[str, list[Row]]:
    chosen = [row for row in rows if row.threads == threads]
    transformers = [row for row in chosen if row.entry.family == "transformer"]
    return {"all": chosen, "transformers": transformers}


def summary(rows: list[Row], thread_counts: list[int]) -> list[str]:
    """Geometric means of the time ratios."""
    return [
        f"{threads} threads, {name}: {geometric_mean([row.time_ratio for row in members]):.2f}x "
        f"over {len(members)} networks"
        for threads in thread_counts
        for name, members in groups(rows, threads).items()
        if members
    ]


def complaints(rows: list[Row]) -> list[str]:
    found = []
    for row in rows:
        if row.time_ratio > WORST_OF_ALL:
            found.append(f"{row.entry.name}, {row.threads} threads: {row.time_ratio:.2f}x time")
        if row.memory_ratio > MEMORY:
            found.append(f"{row.entry.name}, {row.threads} threads: {row.memory_ratio:.2f}x memory")
    limits = {"all": MEAN_OF_ALL, "transformers": MEAN_OF_TRANSFORMERS}
    for threads in sorted({row.threads for row in rows}):
        for name, members in groups(rows, threads).items():
            ratio = geometric_mean([row.time_ratio for row in members]) if members else 0.0
            if ratio > limits[name]:
                found.append(f"mean of {name}, {threads} threads: {ratio:.2f}x > {limits[name]}x")
    return found


def complaints_of_the_way(rows: list[Row]) -> list[str]:
    ratio = geometric_mean([row.time_ratio for row in rows])
    return [f"mean of all: {ratio:.3f}x"] if ratio > MEAN_THROUGH_REMUDA else []


def title(options: argparse.Namespace) -> str:
    if options.backends:
        first = options.backends.split(",")[0]
        return (
            f"## `{first}` through Remuda beside ONNX Runtime itself\n\n"
            f"Asked for are at most {MEAN_THROUGH_REMUDA:.2f}x in the mean."
        )
    return "## Side by side with ONNX Runtime"


def section(rows: list[Row], options: argparse.Namespace) -> str:
    # Where a library lies is the business of one machine.
    library = str(options.library)
    words = ["LIBRARY" if word == library else word for word in sys.argv[1:]]
    head = [
        title(options),
        "",
        f"{measured_on()}. "
        f"Remuda {version('remuda') if options.engine.startswith('remuda') else '-'}, "
        f"ONNX Runtime {version('onnxruntime')}, Python {platform.python_version()}. "
        "Medians of interleaved runs; memory is the peak over the interpreter's own.",
        "",
        f"    python tests/bench/bench_vs_onnxruntime.py {shlex.join(words)}",
        "",
        "| network | threads | Remuda ms | ONNX Runtime ms | time | Remuda MB | ONNX Runtime MB | memory |",
        "| :-- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    body = [
        f"| {row.entry.name} | {row.threads} | {row.ours_ms:.2f} | {row.theirs_ms:.2f} "
        f"| {row.time_ratio:.2f}x | {row.ours_mb:.0f} | {row.theirs_mb:.0f} | {row.memory_ratio:.2f}x |"
        for row in rows
    ]
    means = [f"* {text}" for text in summary(rows, options.threads)]
    return "\n".join([*head, *body, "", "Geometric means of the time ratios:", "", *means])


if __name__ == "__main__":
    sys.exit(main())
