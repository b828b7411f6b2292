#!/usr/bin/env python3
"""Kills the worker process of a provider in the middle of answers of the demo model: each answer must go on to its end.

    cargo build -p remuda-cli -p remuda-ggml
    python tests/python/kill_workers.py --backend ggml:cpu --library target/debug/libremuda_ggml.so

The provider runs with `isolation = "process"`. At a random place of the answer its worker is stopped, so that the
answer stands still, and killed then. The words and the number of tokens must be those of the processor alone: nothing
is lost, nothing is said twice. Exit code 1: an answer was another one, the program failed, or files were left behind.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Answers of different lengths; with the flag, texts that go on as they are.
PROMPTS = [
    ["Tell me about gold."],
    ["Explain lists in Python."],
    ["Who was Marie Curie?"],
    ["What is a hacker?"],
    ["The import statement", "--raw"],
]
TOKENS = 64
# Where two engines that round differently find two tokens alike, they say different words: such prompts are left out.
FEWEST_PROMPTS = 2
# An answer stands still when nothing comes for so long.
SILENCE_S = 0.05
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Answer:
    """What was said, and of how many tokens the program says it is."""

    text: bytes
    tokens: str


class Program:
    """The command line, with a provider in a worker process or without."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.plugins = folder / "plugins.toml"
        library = f'[[provider]]\nlibrary = "{options.library.resolve()}"\n'
        self.plugins.write_text(f'folders = []\nisolation = "process"\n{library}')

    def start(self, prompt: list[str], backend: str) -> subprocess.Popen[bytes]:
        command = [self.options.remuda, "run", "demo", *prompt, "--temp", "0", "--verbose"]
        command += ["-n", str(TOKENS), "-t", str(self.options.threads), "--backend", backend]
        command += ["--plugins", self.plugins]
        environment = os.environ | {"REMUDA_CACHE": "off"}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment)

    def answer(self, prompt: list[str], backend: str) -> Answer:
        """An answer that nobody disturbs."""
        return ended(self.start(prompt, backend), b"")


def ended(process: subprocess.Popen[bytes], said: bytes) -> Answer:
    """The whole answer of a program that has said the start of it."""
    rest, errors = process.communicate(timeout=PATIENCE_S)
    words = errors.decode(errors="replace")
    if process.returncode != 0:
        raise RuntimeError(f"the program left with {process.returncode}: {words[-2000:]}")
    tokens = re.search(r"^answer: (\d+) tokens", words, re.MULTILINE)
    return Answer(said + rest, tokens[1] if tokens else "")


def main() -> int:
    options = arguments()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-workers-") as folder:
        program = Program(options, Path(folder))
        backend = f"{options.backend},cpu"
        want = [(prompt, program.answer(prompt, "cpu")) for prompt in PROMPTS]
        want = [
            (prompt, answer) for prompt, answer in want if program.answer(prompt, backend) == answer
        ]
        if len(want) < FEWEST_PROMPTS:
            print(
                f"`{options.backend}` and the processor agree on {len(want)} prompts only",
                file=sys.stderr,
            )
            return 1
        wrong = 0
        for round in range(options.kills):
            prompt, answer = want[round % len(want)]
            fault = drill(program, prompt, answer, random.Random(options.seed + round))
            if fault:
                wrong += 1
                print(f"kill {round}, {prompt[0]!r}: {fault}", file=sys.stderr)
    seconds = time.monotonic() - started
    print(f"{options.backend}: {options.kills} kills, {wrong} wrong answers, {seconds:.0f} s")
    return int(wrong > 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    parser.add_argument("--backend", required=True, help="the device that is lost")
    parser.add_argument("--library", type=Path, required=True, help="its provider")
    parser.add_argument("--remuda", type=Path, default=target / "remuda")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    # Several threads of one that waits busily would make this a test of patience beside other work.
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def drill(program: Program, prompt: list[str], want: Answer, draw: random.Random) -> str:
    """One answer with one kill; what was wrong, if anything was."""
    # The answer is still to go on when it has come to a standstill.
    place = draw.randrange(1, len(want.text) * 3 // 4)
    process = program.start(prompt, f"{program.options.backend},cpu")
    try:
        said = read(process, place)
        time.sleep(draw.choice([0.0, 0.002 * draw.random()]))
        (worker,) = children(process.pid)
        os.kill(worker, signal.SIGSTOP)
        said += read_until_silent(process)
        os.kill(worker, signal.SIGKILL)
        got = ended(process, said)
    finally:
        process.kill()
        process.wait()
    if len(said) >= len(want.text):
        return "the answer had ended before the worker was killed"
    if got != want:
        return f"expected {want}, got {got}"
    left = [*Path("/dev/shm").glob(f"remuda-isolated-{process.pid}-*")]
    return f"left behind: {left}" if left else ""


def read(process: subprocess.Popen[bytes], count: int) -> bytes:
    """The next bytes of an answer."""
    said = b""
    while len(said) < count:
        piece = os.read(process.stdout.fileno(), count - len(said))
        if not piece:
            break
        said += piece
    return said


def read_until_silent(process: subprocess.Popen[bytes]) -> bytes:
    """What else was said before the answer came to a standstill."""
    said = b""
    while select.select([process.stdout], [], [], SILENCE_S)[0]:
        piece = os.read(process.stdout.fileno(), 4096)
        if not piece:
            break
        said += piece
    return said


def children(parent: int) -> list[int]:
    """The processes that another one started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # Behind the name, which may hold anything: the state and the parent.
            _, fields = (folder / "stat").read_text().rsplit(") ", 1)
        except OSError:
            continue
        if int(fields.split()[1]) == parent:
            found.append(int(folder.name))
    return found


if __name__ == "__main__":
    sys.exit(main())
