#!/usr/bin/env python3
"""Compares plans by cost with those by the order of backends, on transformers over two made-up devices.

    cargo build --release -p remuda-cli && cargo build --release -p remuda-fake --example remuda_fake
    python tests/bench/bench_placement.py [--write-docs]

The devices compute on the CPU's own kernels. `gpu` is as fast as these, is slow to start, and lacks the operators
between the products; `npu` takes everything and is three times as slow. Values are copied between their memories at
2 GB/s. The CPU itself may run nothing. Both plans run in turns in one process (`remuda plan --measure`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from page import PAGE_NAME, ROOT, measured_on, record

sys.path.insert(0, str(ROOT / "tests" / "networks"))

DEVICES = """\
[[provider]]
library = "{library}"
isolation = "none"

[provider.options]
devices = "gpu,npu"
gbps = "2"
latency_us = "1000"
"gpu.launch_us" = "3000"
"gpu.ops" = "all,-LayerNormalization,-SkipLayerNormalization,-RMSNormalization,-Softmax,-Attention,\
-remuda::CachedAttention"
"npu.pace" = "3"
"""

# Models, and the sizes of their dimensions.
MODELS = {"demo": None, "minilm": "batch=1,tokens=128"}


def main() -> int:
    options = arguments()
    folder = ROOT / "target" / "placement"
    folder.mkdir(parents=True, exist_ok=True)
    plugins = folder / "two-devices.toml"
    plugins.write_text(DEVICES.format(library=options.library.resolve()))
    plans = {name: plan(name, plugins, options) for name in options.models}
    rows = [row for name, plan in plans.items() for row in lines(name, plan)]
    for row in rows:
        print(*row, sep="  ")
    if options.write_docs:
        record("bench_placement", section(rows, options))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    release = ROOT / "target" / "release"
    library = release / "examples" / "libremuda_fake.so"
    parser.add_argument("--remuda", type=Path, default=release / "remuda")
    parser.add_argument("--library", type=Path, default=library, help="the fake provider")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE_NAME}")
    return parser.parse_args()


def plan(name: str, plugins: Path, options: argparse.Namespace) -> dict:
    """The plan by cost of a model, measured in turns with the one by the order of backends."""
    sizes = MODELS[name]
    command = [options.remuda, "plan", path_of(name), "--plugins", plugins, "--json"]
    command += ["--backend", "fake:gpu,fake:npu", "--fallback", "error", "--policy", "cost"]
    command += ["--measure", options.runs, "--threads", options.threads]
    command += ["--random-inputs", sizes] if sizes else []
    environment = os.environ | {"REMUDA_CACHE": "off"}
    words = [str(word) for word in command]
    ran = subprocess.run(words, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(ran.stdout)


def path_of(name: str) -> Path | str:
    if name == "demo":
        return name
    from catalog import load_catalog
    from materialize import materialize

    return materialize(next(entry for entry in load_catalog() if entry.name == name))


def lines(name: str, plan: dict) -> list[tuple[str, ...]]:
    """Per shape class: parts, predicted and measured milliseconds by cost; parts and measured by order; ratio."""
    parts = [part["class"] for part in plan["parts"]]
    rows = []
    for own, other in zip(plan["classes"], plan["priority"]["classes"]):
        title = f"{name} {own['name']}".strip()
        ratio = own["measured_ms"] / other["measured_ms"]
        rows.append(
            (
                title,
                str(parts.count(own["name"])),
                f"{own['predicted_ns'] / 1e6:.2f}",
                f"{own['measured_ms']:.2f}",
                str(other["parts"]),
                f"{other['measured_ms']:.2f}",
                f"{ratio:.2f}x",
            )
        )
    return rows


def section(rows: list[tuple[str, ...]], options: argparse.Namespace) -> str:
    """The part of the page that this script owns."""
    head = [
        "## Plans by cost beside plans by the order of backends",
        "",
        f"{measured_on()}, "
        f"{options.threads} threads. Two made-up devices, as the script says; medians of {options.runs} runs in "
        "turns, in milliseconds.",
        "",
        "    python tests/bench/bench_placement.py",
        "",
        "| model | parts by cost | predicted | measured | parts by order | measured | time |",
        "| :-- | --: | --: | --: | --: | --: | --: |",
    ]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


if __name__ == "__main__":
    sys.exit(main())
