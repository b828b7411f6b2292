#!/usr/bin/env python3
"""Times what is saved for language models: copied texts, cached prompts, many threads, loading, packed weights kept.

    python tests/bench/bench_language.py --remuda target/release/remuda --folder /tmp
    python tests/bench/bench_language.py … --write-docs

A file of the shape of Llama 3.2 1B with random weights is written, measured and removed. What a step costs does not
depend on what the weights say; the text that copies is chosen token by token, so that prompt lookup meets a text that
copies wholly, which is the best that it can meet. Sides that are compared take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from page import PAGE_NAME, measured_on, record
from random_llama import MIXES, write

PREFIX = 512
COPIED, GENERATED = 256, 128
THREADS, ANSWER = 16, 24


class Row:
    """A figure and what is asked of it."""

    def __init__(self, what: str, sides: str, value: float, goal: float, *, least: bool) -> None:
        self.what, self.sides, self.value, self.goal, self.least = what, sides, value, goal, least

    def is_reached(self) -> bool:
        return self.value >= self.goal if self.least else self.value <= self.goal

    def texts(self) -> tuple[str, str]:
        """The figure, and what is asked."""
        if self.least:
            return f"{self.value:.2f}x", f"at least {self.goal:g}x"
        if self.goal < 0.1:
            return f"{100 * self.value:.1f} %", f"at most {100 * self.goal:.0f} %"
        return f"{self.value:.3f} s", f"at most {self.goal:.1f} s"


def main() -> int:
    options = arguments()
    path = options.folder / f"remuda-bench-{options.mix}.gguf"
    rows: list[Row] = []
    try:
        write(path, options.mix)
        for measure in (copied_text, cached_prompt, many_threads, loading, kept_weights):
            for row in measure(path, options):
                rows.append(row)
                print(f"{row.what}: {row.sides}: {row.texts()[0]}, {row.texts()[1]}", flush=True)
    finally:
        path.unlink(missing_ok=True)
    if options.write_docs:
        record("bench_language", section(rows, options))
    return int(options.check and not all(row.is_reached() for row in rows))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--remuda", type=Path, default=Path("target/release/remuda"))
    parser.add_argument("--folder", type=Path, default=Path("/tmp"), help="for the file")
    parser.add_argument("--mix", choices=MIXES, default="Q4_0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE_NAME}")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    return parser.parse_args()


def interleaved(
    first: Callable[[], float], second: Callable[[], float], repetitions: int
) -> tuple[float, float]:
    """Medians of two sides that take turns; who begins changes, and the first turn does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repetitions + 1):
        sides = [(first, times[0]), (second, times[1])]
        for side, kept in sides if turn % 2 else reversed(sides):
            seconds = side()
            if turn > 0:
                kept.append(seconds)
    return median(times[0]), median(times[1])


def copied_text(path: Path, options: argparse.Namespace) -> list[Row]:
    """Tokens that copy the prompt, with and without prompt lookup."""

    def side(*flags: str) -> float:
        command = [options.remuda, "bench", path, "-p", 0, "-n", GENERATED, "-d", COPIED, "--copy"]
        command += ["-t", options.threads, "-r", 1, "-o", "json", *flags]
        ran = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE)
        (figures,) = json.loads(ran.stdout)
        return 1 / figures["median_ts"]

    plain, ahead = interleaved(side, lambda: side("--lookup"), options.repetitions)
    sides = f"{1 / plain:.1f} tokens/s plain, {1 / ahead:.1f} with prompt lookup"
    return [Row("decode of a copied text", sides, plain / ahead, 1.8, least=True)]


def open_model(path: Path, options: argparse.Namespace, **more: object):
    import remuda

    return remuda.Model(path, threads=options.threads, **more)


def cached_prompt(path: Path, options: argparse.Namespace) -> list[Row]:
    """The first token behind a prefix that was asked before, and behind one that was not."""
    number = iter(range(1000, 100_000))
    with open_model(path, options, n_ctx=2 * PREFIX) as model:

        def first_token(prefix: list[int]) -> float:
            start = time.perf_counter()
            next(iter(model.stream([*prefix, next(number)], 1, temperature=0.0, stop=[])), None)
            return time.perf_counter() - start

        def cold() -> float:
            # It shares nothing with what came before.
            return first_token([next(number), *range(300, 300 + PREFIX - 1)])

        def cached() -> float:
            known = [5, *range(300, 300 + PREFIX - 1)]
            first_token(known)
            return first_token(known)

        slow, fast = interleaved(cold, cached, options.repetitions)
    sides = f"{1000 * slow:.0f} ms cold, {1000 * fast:.1f} ms cached"
    what = f"first token behind {PREFIX} tokens that are cached"
    return [Row(what, sides, fast / slow, 0.03, least=False)]


def many_threads(path: Path, options: argparse.Namespace) -> list[Row]:
    """Sixteen Python threads that ask one model, and the same questions one after the other."""
    prompts = [[7 + at, *range(400, 420)] for at in range(THREADS)]
    with open_model(path, options, n_ctx=PREFIX, n_seq=THREADS) as model:

        def ask(at: int) -> str:
            return model.generate(prompts[at], ANSWER, seed=at)

        want = [ask(at) for at in range(THREADS)]

        def serial() -> float:
            start = time.perf_counter()
            assert [ask(at) for at in range(THREADS)] == want
            return time.perf_counter() - start

        def together() -> float:
            got = [""] * THREADS

            def work(at: int) -> None:
                got[at] = ask(at)

            start = time.perf_counter()
            threads = [threading.Thread(target=work, args=(at,)) for at in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = time.perf_counter() - start
            assert got == want, "threads get what each gets alone"
            return seconds

        slow, fast = interleaved(serial, together, options.repetitions)
    tokens = THREADS * ANSWER
    sides = f"{tokens / slow:.1f} tokens/s one by one, {tokens / fast:.1f} together, same tokens"
    return [Row(f"{THREADS} threads on one model", sides, slow / fast, 1.5, least=True)]


def loading(path: Path, options: argparse.Namespace) -> list[Row]:
    """Loading a file that is in the page cache, with weights as they are."""
    times = []
    for _ in range(options.repetitions + 1):
        start = time.perf_counter()
        open_model(path, options, n_ctx=4096, repack=False).close()
        times.append(time.perf_counter() - start)
    gigabytes = path.stat().st_size / 1e9
    sides = f"{gigabytes:.2f} GB, in the page cache, not repacked"
    return [Row("load", sides, median(times[1:]), 0.3, least=False)]


FIRST_AND_MORE = """
import json, sys, time
import remuda
with remuda.Model(sys.argv[1], threads=int(sys.argv[2]), n_ctx=512) as model:
    start = time.perf_counter()
    answer = iter(model.stream([5, 6, 7, 8], int(sys.argv[3]), seed=1, stop=[]))
    next(answer, None)
    first = time.perf_counter()
    more = sum(1 for _ in answer)
    print(json.dumps([first - start, (time.perf_counter() - first) / more]))
"""


def kept_weights(path: Path, options: argparse.Namespace) -> list[Row]:
    """The first token of a start that packs, and of one that maps what an earlier one kept; then the others."""
    with tempfile.TemporaryDirectory(dir=options.folder) as kept:

        def start(cache: str) -> list[float]:
            command = [sys.executable, "-c", FIRST_AND_MORE, path, options.threads, GENERATED]
            ran = subprocess.run(
                [str(word) for word in command],
                check=True,
                stdout=subprocess.PIPE,
                env=os.environ | {"REMUDA_CACHE": cache},
            )
            return json.loads(ran.stdout)

        start(kept)
        times: dict[str, list[list[float]]] = {"off": [], kept: []}
        for turn in range(options.repetitions):
            for cache in times if turn % 2 else reversed(times):
                times[cache].append(start(cache))
    (packed, by_copy), (mapped, by_map) = (
        [median(figure) for figure in zip(*side, strict=True)] for side in times.values()
    )
    return [
        Row(
            "first token where packed weights were kept",
            f"{1000 * packed:.0f} ms with packing, {1000 * mapped:.0f} ms with mapping",
            packed / mapped,
            1.0,
            least=True,
        ),
        Row(
            "decode where packed weights were kept",
            f"{1 / by_copy:.1f} tokens/s from a copy, {1 / by_map:.1f} from the mapped file",
            by_copy / by_map,
            0.97,
            least=True,
        ),
    ]


def section(rows: list[Row], options: argparse.Namespace) -> str:
    """The part of the page that this script owns."""
    head = [
        "## What the engine for language models saves",
        "",
        f"{measured_on()}, "
        f"{options.threads} threads. The shape of Llama 3.2 1B with random weights in {options.mix}; "
        f"medians of {options.repetitions} turns.",
        "",
        f"    python tests/bench/bench_language.py --mix {options.mix} "
        f"--repetitions {options.repetitions}",
        "",
        "| | | figure | asked | |",
        "| :-- | :-- | --: | --: | :-- |",
    ]
    verdict = {True: "reached", False: "**missed**"}
    body = [
        f"| {row.what} | {row.sides} | {' | '.join(row.texts())} | {verdict[row.is_reached()]} |"
        for row in rows
    ]
    return "\n".join([*head, *body])


if __name__ == "__main__":
    sys.exit(main())
