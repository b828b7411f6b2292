#!/usr/bin/env python3
"""Times Remuda and llama.cpp side by side on the shape of Llama 3.2 1B, for every cell of the table of goals.

    python tests/bench/bench_vs_llama_cpp.py --remuda target/release/remuda --folder /tmp
    python tests/bench/bench_vs_llama_cpp.py … --mixes Q4_0 --write-docs
    python tests/bench/bench_vs_llama_cpp.py … --isa avx2       Remuda as on a machine that has no more
    python tests/bench/bench_vs_llama_cpp.py … --backend ggml:cpu --library target/release/libremuda_ggml.so
                                                                what the way through Remuda costs ggml

For each format a file with random weights is written (up to 2.5 GB), measured by `remuda bench --vs llama.cpp`, where
the two take turns, and removed. llama.cpp runs with its weights repacked and as they are, and is compared with at its
better setting in each cell. For `--isa avx2` the peer has no more either, where it is built so:

    CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX512=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON" \\
        pip install --no-binary llama-cpp-python llama-cpp-python
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from page import PAGE_NAME, measured_on, record
from random_llama import MIXES, write

# What the project asks of itself: times as fast as llama.cpp.
GOALS = {
    "pp512": {"Q4_0": 2.4, "Q4_K_M": 1.8, "Q8_0": 3.0, "F16": 1.4},
    "tg128": {"Q4_0": 1.5, "Q4_K_M": 1.4, "Q8_0": 1.3, "F16": 1.2},
    "tg32 x 8": {"Q4_0": 2.2, "Q4_K_M": 2.2, "Q8_0": 2.0, "F16": 1.3},
}
TESTS = {
    "pp512": ["-p", "512", "-n", "0"],
    "tg128": ["-p", "0", "-n", "128"],
    "tg32 x 8": ["-p", "0", "-n", "32", "--parallel", "8"],
}
TITLES = {
    "pp512": "a prompt of 512 tokens",
    "tg128": "128 tokens, one by one",
    "tg32 x 8": "8 sequences together",
}

# Of machines without wider instructions.
NARROW_GOAL = 1.0
# The same kernels, reached through Remuda.
GOAL_THROUGH_REMUDA = 0.97

BETTER_SETTING = "at its better setting in each cell: weights repacked, or as they are in the file."
USUAL_SETTING = "at its usual setting, weights repacked, which `ggml` has here, too."

Cell = tuple[str, str]


def main() -> int:
    options = arguments()
    cells: dict[Cell, dict] = {}
    for mix in options.mixes:
        path = options.folder / f"remuda-bench-{mix}.gguf"
        try:
            write(path, mix)
            for test in TESTS:
                cells[mix, test] = measure(path, test, options)
                print(line(mix, test, cells[mix, test], options), flush=True)
        finally:
            path.unlink(missing_ok=True)
        if options.write_docs:
            record(section_name(options), section(cells, options))
    missed = [cell for cell in cells if ratio(cells[cell], options) < goal(cell, options)]
    for mix, test in missed:
        print(f"below the goal: {mix}, {TITLES[test]}", file=sys.stderr)
    return int(options.check and bool(missed))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--remuda", type=Path, default=Path("target/release/remuda"))
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--folder", type=Path, default=Path("/tmp"), help="for the file")
    parser.add_argument("--mixes", nargs="+", choices=MIXES, default=[*MIXES])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa", choices=["avx2"], help="what Remuda may use")
    parser.add_argument("--backend", help="a backend of Remuda in place of its own kernels")
    parser.add_argument("--library", type=Path, help="the library of its provider")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE_NAME}")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    return parser.parse_args()


def section_name(options: argparse.Namespace) -> str:
    """The section of the page that these options write."""
    way = "through" if options.backend else options.isa
    return "bench_vs_llama_cpp" + (f"_{way}" if way else "")


def placed(options: argparse.Namespace) -> list[object]:
    """The arguments that have another backend than the CPU run what it can, and all of it."""
    if not options.backend:
        return []
    sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))
    from sessions import write_plugins

    plugins = write_plugins(options.folder / "remuda-bench", options.library)
    return ["--backend", options.backend, "--fallback", "error", "--plugins", plugins]


def measure(path: Path, test: str, options: argparse.Namespace) -> dict:
    """The figures of a cell, as the command tells them."""
    command = [options.remuda, "bench", path, *TESTS[test], "-o", "json", "--vs", "llama.cpp"]
    command += placed(options)
    settings = ["--python", options.python, "-t", options.threads, "-r", options.repetitions]
    words = [str(word) for word in [*command, *settings]]
    environment = os.environ | ({"REMUDA_CPU_ISA": options.isa} if options.isa else {})
    ran = subprocess.run(words, check=True, stdout=subprocess.PIPE, env=environment)
    (figures,) = json.loads(ran.stdout)
    return figures


def rates(figures: dict) -> tuple[float, dict[str, float]]:
    """Median tokens per second: ours, and theirs by setting."""
    theirs = {side["setting"]: side["median_ts"] for side in figures["llama.cpp"]["settings"]}
    return figures["median_ts"], theirs


def line(mix: str, test: str, figures: dict, options: argparse.Namespace) -> str:
    ours, theirs = rates(figures)
    sides = ", ".join(f"{rate:.2f} {setting}" for setting, rate in theirs.items())
    return f"{mix:<7} {test:<9} {ours:8.2f} t/s, llama.cpp {sides}: {ratio(figures, options):.2f}x"


def ratio(figures: dict, options: argparse.Namespace) -> float:
    """Times as fast as llama.cpp at its better setting, or at its usual one, which the same kernels have here."""
    if options.backend:
        ours, theirs = rates(figures)
        return ours / theirs["repacked"]
    return figures["llama.cpp"]["ratio"]


def goal(cell: Cell, options: argparse.Namespace) -> float:
    mix, test = cell
    if options.backend:
        return GOAL_THROUGH_REMUDA
    return NARROW_GOAL if options.isa else GOALS[test][mix]


def peer(figures: dict, options: argparse.Namespace) -> str:
    """How llama.cpp was built, as far as it tells."""
    wide = "AVX512 = 1" in figures["llama.cpp"]["system"]
    if not options.isa:
        return "built for this processor"
    has = "all that the processor has" if wide else f"{options.isa}, too"
    return f"built for {has}"


def section(cells: dict[Cell, dict], options: argparse.Namespace) -> str:
    """The part of the page that this script owns."""
    some = next(iter(cells.values()))
    allowed = f", {options.isa} only" if options.isa else ""
    title = f"## Language models side by side with llama.cpp{allowed}"
    if options.backend:
        title = f"## `{options.backend}` through Remuda beside llama.cpp itself"
    head = [
        title,
        "",
        f"{measured_on()}, "
        f"{options.threads} threads. llama.cpp as in llama-cpp-python {some['llama.cpp']['version']}, "
        f"{peer(some, options)}. The shape of Llama 3.2 1B with random weights; medians of "
        f"{options.repetitions} interleaved runs in tokens per second. llama.cpp counts "
        + (USUAL_SETTING if options.backend else BETTER_SETTING)
        + (f" Remuda uses {options.isa}." if allowed else ""),
        "",
        "    python tests/bench/bench_vs_llama_cpp.py "
        f"--mixes {' '.join(options.mixes)} --repetitions {options.repetitions}"
        + (f" --isa {options.isa}" if options.isa else "")
        + (f" --backend {options.backend} --library LIBRARY" if options.backend else ""),
        "",
        "| | format | Remuda | llama.cpp repacked | llama.cpp plain | ratio | goal | |",
        "| :-- | :-- | --: | --: | --: | --: | --: | :-- |",
    ]
    body = []
    for test in TESTS:
        for mix in (mix for mix in options.mixes if (mix, test) in cells):
            figures = cells[mix, test]
            ours, theirs = rates(figures)
            wanted = goal((mix, test), options)
            verdict = "reached" if ratio(figures, options) >= wanted else "**missed**"
            body.append(
                f"| {TITLES[test]} | {mix} | {ours:.1f} | {theirs['repacked']:.1f} "
                f"| {theirs['as in the file']:.1f} | {ratio(figures, options):.2f}x "
                f"| {wanted:g}x | {verdict} |"
            )
    return "\n".join([*head, *body])


if __name__ == "__main__":
    sys.exit(main())
