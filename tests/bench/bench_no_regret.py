#!/usr/bin/env python3
"""Times models on all providers together, cost deciding, beside each provider with the CPU for what it refuses.

    for name in ggml onnxruntime wgpu; do cargo build --release -p remuda-$name; done
    python tests/bench/bench_no_regret.py [--networks REGEX] [--write-docs]

Needs the wheel, what each provider loads (`docs/providers`), and nothing else that runs. All sides are processes of
their own that take turns in short rounds; the side that leaves the choice to cost has made it when the first round
begins, from costs that it measured and from trying its plan. `demo` is the language model inside the wheel: a prompt
of 64 tokens that is new each time, and 32 tokens behind it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "networks"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

from catalog import Entry, load_catalog
from materialize import materialize
from page import PAGE_NAME, ROOT, measured_on, record
from side import Side

PROVIDERS = {"ggml": "ggml:cpu", "onnxruntime": "onnxruntime:cpu", "wgpu": "wgpu"}
DEMO = Entry("demo", "demo", "transformer", "q8_0", 0, {}, [{}], {})
# Together may take so many times what the best single one takes.
REGRET = 1.03


@dataclass
class Row:
    """One model: medians in milliseconds, of all together and of each provider."""

    name: str
    together: float
    # Whom cost chose.
    kept: str
    single: dict[str, float]

    @property
    def best(self) -> str:
        return min(self.single, key=self.single.__getitem__)

    @property
    def ratio(self) -> float:
        return self.together / self.single[self.best]


def main() -> int:
    options = arguments()
    entries = [entry for entry in load_catalog() if entry.precision == "f32"] + [DEMO]
    entries = [entry for entry in entries if re.search(options.networks, entry.name)]
    if not entries:
        print(f"no network matches `{options.networks}`", file=sys.stderr)
        return 2
    # Costs are measured by whoever asks first, and not kept from another day.
    os.environ["REMUDA_CACHE"] = "off"
    rows = []
    for entry in entries:
        rows.append(measure(entry, sides(options), options))
        print(line(rows[-1]), flush=True)
    print("\n".join(summary(rows)))
    if options.write_docs:
        record("bench_no_regret", section(rows, options))
    regretted = [row for row in rows if row.ratio > REGRET]
    for row in regretted:
        print(f"over the limit: {row.name}: {row.ratio:.2f}x", file=sys.stderr)
    return int(options.check and bool(regretted))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    parser.add_argument("--libraries", type=Path, default=target, help="their folder")
    parser.add_argument("--providers", nargs="+", choices=PROVIDERS, default=[*PROVIDERS])
    parser.add_argument("--networks", default="", metavar="REGEX")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="per round and side")
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE_NAME}")
    parser.add_argument("--check", action="store_true", help="exit 1 when the limit is exceeded")
    return parser.parse_args()


def sides(options: argparse.Namespace) -> dict[str, str]:
    """Engines by name. A process loads the libraries that it uses, and no more."""
    from sessions import write_plugins

    folder = ROOT / "target" / "no-regret"
    library = {name: options.libraries / f"libremuda_{name}.so" for name in options.providers}
    found = {
        "together": f"remuda auto {write_plugins(folder, *library.values())}",
        "cpu": f"remuda cpu {write_plugins(folder)}",
    }
    for name, path in library.items():
        found[PROVIDERS[name]] = f"remuda {PROVIDERS[name]},cpu {write_plugins(folder, path)}"
    return found


def measure(entry: Entry, engines: dict[str, str], options: argparse.Namespace) -> Row:
    path = Path("demo") if entry is DEMO else materialize(entry)
    times: dict[str, list[float]] = {name: [] for name in engines}
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(Side(engine, entry, path, options.threads))
            for name, engine in engines.items()
        }
        names = list(running)
        for turn in range(options.rounds):
            # Whoever begins changes with each turn.
            start = turn % len(names)
            for name in names[start:] + names[:start]:
                times[name] += running[name].run_for(options.seconds)
        kept = ", ".join(running["together"].backends())
    medians = {name: median(values) * 1e3 for name, values in times.items()}
    return Row(entry.name, medians.pop("together"), kept, medians)


def line(row: Row) -> str:
    single = "  ".join(f"{name} {value:.2f}" for name, value in row.single.items())
    return (
        f"{row.name:<28} together {row.together:8.2f} ms on {row.kept}  {single}  "
        f"{row.ratio:.2f}x of {row.best}"
    )


def summary(rows: list[Row]) -> list[str]:
    regretted = sum(row.ratio > REGRET for row in rows)
    faster = [row.name for row in rows if row.ratio < 1 / REGRET]
    return [
        f"{len(rows) - regretted} of {len(rows)} models take at most {REGRET:.2f}x the time of the best single one.",
        f"Faster than on any single one by more than that: {', '.join(faster) or 'none'}.",
    ]


def section(rows: list[Row], options: argparse.Namespace) -> str:
    """The part of the page that this script owns."""
    names = list(rows[0].single)
    head = [
        "## All providers together beside each alone",
        "",
        f"{measured_on()}, {options.threads} threads. Remuda {version('remuda')}. Medians of interleaved runs in "
        "milliseconds; *together* is `auto` with all four, where cost decides; each other column is that provider with "
        "the CPU for what it refuses. wgpu runs on whatever Vulkan driver there is. Where all together run on the best "
        "single one, what the two differ by is what processes of the same program differ by.",
        "",
        "    python tests/bench/bench_no_regret.py",
        "",
        f"| model | together | on | {' | '.join(names)} | of the best |",
        f"| :-- | --: | :-- | {' | '.join('--:' for _ in names)} | --: |",
    ]
    body = [
        f"| {row.name} | {row.together:.2f} | {row.kept} | {' | '.join(f'{row.single[name]:.2f}' for name in names)} "
        f"| {row.ratio:.2f}x |"
        for row in rows
    ]
    return "\n".join([*head, *body, "", *(f"* {text}" for text in summary(rows))])


if __name__ == "__main__":
    sys.exit(main())
