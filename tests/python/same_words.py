#!/usr/bin/env python3
"""Compares the logits of language models on every provider, on every pair of them and on all in one plan.

    for name in ggml onnxruntime wgpu; do cargo build -p remuda-$name; done
    python tests/python/same_words.py --ggml ~/.local/lib/remuda/providers/ggml

Models are the demo, with its matrices in several types, and random ones of the shape of Llama 3.2 1B, with three layers
and fewer words. Whoever shares a model gets some layers of it by pins. What is compared with what, and why, is told in
`docs/providers/same-words.md`. Exit code 1: logits are too far apart, or a plan is not the one that was asked for.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "bench"), str(ROOT / "tests" / "python")]
# Nothing is kept from another run, nor for one.
os.environ["REMUDA_CACHE"] = "off"

from gguf import GGMLQuantizationType as Type  # noqa: E402
from remuda import _core  # noqa: E402

import random_llama  # noqa: E402
from language.compare import PLAIN_BOUND, QUANTISED_BOUND, ROUNDING, divergences  # noqa: E402
from language.quantised import decode  # noqa: E402
from language.requantised import Rounding, requantise  # noqa: E402

BACKENDS = {"ggml": "ggml:cpu", "onnxruntime": "onnxruntime:cpu", "wgpu": "wgpu"}
DEMO = ROOT / "runtime-core" / "demo" / "assets" / "demo.gguf"
TYPES = ("F16", "Q4_0", "Q8_0", "Q4_K", "Q6_K")
# The types of random files that are laid out otherwise than all alike.
MIXES = {"Q4_K": "Q4_K_M"}
SHAPE = random_llama.Shape(layers=3, vocabulary=4096, context=512)
TEXT = (
    "A river is a large natural stream of water. The import statement of Python binds names of a module. "
    * 3
)
# The first step is one of many tokens, the second one of few: each is planned apart.
STEP, TOKENS = 40, 46
THREADS = 2
# Random models take longer: only of these types are they run on pairs unless more is asked for.
PAIRED = ("F16", "Q4_K")
# Alone beside the CPU, a provider runs so much of a model at least.
LEAST_SHARE = 0.5
# Providers that multiply rows as they are: they come as near to decoded weights as floats do.
EXACT = {("wgpu", kind) for kind in TYPES} | {
    ("onnxruntime:cpu", kind) for kind in ("Q4_K", "Q6_K")
}


@dataclass(frozen=True)
class Job:
    """A model, and the same with its weights decoded."""

    source: str
    kind: str
    path: Path
    decoded: Path
    tokens: list[int]

    @property
    def name(self) -> str:
        return f"{self.source} {self.kind}"


@dataclass(frozen=True)
class Answer:
    """Logits, the nodes in order, and who ran which of them in all sorts of steps."""

    logits: np.ndarray[Any, Any]
    order: list[str]
    ran: dict[str, set[str]]

    def share(self, backend: str) -> float:
        return len(self.ran.get(backend, ())) / len(self.order)


class Setup:
    """How models are run."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        own = {"ggml": f'folder = "{options.ggml.resolve()}"', "onnxruntime": "dequantize = true"}
        lines = ["folders = []", 'isolation = "none"']
        for name in BACKENDS:
            library = options.libraries.resolve() / f"libremuda_{name}.so"
            entry = f'library = "{library}"\noptions = {{ {own.get(name, "")} }}'
            lines += ["[[provider]]", entry]
        self.plugins = folder / "plugins.toml"
        self.plugins.write_text("\n".join(lines))

    def run(
        self,
        path: Path,
        tokens: list[int],
        backends: Sequence[str],
        pins: dict[str, str] | None = None,
    ) -> Answer:
        """The first backend that takes a node gets it, unless it is pinned."""
        contract = {"policy": "priority", "fallback": "allow"}
        plugins = str(self.plugins)
        runtime = _core.Runtime(list(backends), THREADS, plugins, contract=contract, pins=pins)
        model = _core.LanguageModel(runtime, path, n_ctx=64, n_batch=STEP)
        logits = np.asarray(model.logits(tokens))
        placement = model.placement()
        return Answer(logits, list(placement["nodes"]), who_ran(placement["parts"], backends))


def who_ran(parts: list[dict[str, Any]], backends: Sequence[str]) -> dict[str, set[str]]:
    """The nodes that each backend, by the name that was asked for, has in the plans of all sorts of steps."""
    sorts = {part["class"] for part in parts}
    if len(sorts) < 2:
        raise ValueError(f"expected plans for few and for many tokens, got {sorts}")
    ran: dict[str, dict[str, set[str]]] = {}
    for part in parts:
        names = (name for name in backends if part["backend"].startswith(name))
        of_sort = ran.setdefault(next(names, "cpu"), {sort: set() for sort in sorts})
        of_sort[part["class"]].update(part["nodes"])
    return {name: set.intersection(*of_sort.values()) for name, of_sort in ran.items()}


def stages(order: list[str]) -> dict[str, int]:
    """The layer of each node by its name; what comes before the first is of that, what comes behind is one more."""
    found: dict[str, int] = {}
    behind = 0
    for node in order:
        parts = node.split(".")
        if parts[0] == "blk":
            found[node] = int(parts[1])
            behind = found[node] + 1
        else:
            found[node] = behind
    return found


def pins(names: Sequence[str], alone: dict[str, Answer]) -> dict[str, str]:
    """Each of the backends gets some layers in a row: of their nodes those that it takes."""
    # Rewrites differ where the CPU is alone.
    of_node = stages(next(alone[name].order for name in names if name != "cpu"))
    # What is behind the layers goes with the last of them, unless there are too few.
    count = max(*of_node.values(), len(names))
    share = {node: min(stage, count - 1) * len(names) // count for node, stage in of_node.items()}
    wanted = {node: names[at] for node, at in share.items()}
    return {
        node: name
        for node, name in wanted.items()
        if name == "cpu" or node in alone[name].ran[name]
    }


def jobs(folder: Path, options: argparse.Namespace) -> Iterator[Job]:
    """The models, one at a time: each is written over the one before."""
    rounding = Rounding(options.ggml)
    path, decoded = folder / "model.gguf", folder / "decoded.gguf"
    text = _core.LanguageModel(_core.Runtime(["cpu"], 1), "demo").tokenize(TEXT)[:TOKENS]
    words = [(7919 * at + 31) % SHAPE.vocabulary for at in range(TOKENS)]
    for source, kind in itertools.product(["demo", "random"], options.types):
        if source not in options.models:
            continue
        if source == "demo":
            requantise(DEMO, path, Type[kind], rounding)
        else:
            random_llama.write(path, MIXES.get(kind, kind), SHAPE)
        decode(path, decoded)
        yield Job(source, kind, path, decoded, text if source == "demo" else words)


def faults(job: Job, names: Sequence[str], got: Answer, want: Answer, exact: Answer) -> list[str]:
    """Prints how far logits are from those of the CPU and of decoded weights; what is wrong with that."""
    apart = divergences(want.logits, got.logits)
    off, usual = divergences(exact.logits, got.logits), divergences(exact.logits, want.logits)
    shares = ", ".join(f"{name} {got.share(name):.0%}" for name in got.ran)
    told = [f"{rows.max():.1e} {rows.mean():.1e}" for rows in (apart, off)]
    print(
        f"{job.name:12} {'+'.join(names):35} {told[0]} from cpu, {told[1]} from decoded; {shares}",
        flush=True,
    )
    found = []
    if job.kind == "F16" and apart.max() > PLAIN_BOUND:
        found.append(f"a token is {apart.max():.1e} from the cpu's, {PLAIN_BOUND} is allowed")
    # Nobody who does not round as the CPU does is nearer to it than decoded weights are.
    allowed = max(QUANTISED_BOUND, ROUNDING * usual.mean())
    for far, whose in ((apart, "the cpu's"), (off, "those of decoded weights")):
        if far.mean() > allowed:
            found.append(f"tokens are {far.mean():.1e} from {whose}, {allowed:.1e} is allowed")
    if EXACT.issuperset((name, job.kind) for name in names) and off.max() > PLAIN_BOUND:
        found.append(f"a token is {off.max():.1e} from decoded weights, {PLAIN_BOUND} is allowed")
    if len(names) == 1 and got.share(names[0]) < LEAST_SHARE:
        found.append(f"{names[0]} runs {got.share(names[0]):.0%} of the nodes")
    found += [f"{name} runs nothing" for name in names if not got.ran.get(name)]
    return [f"{job.name} on {'+'.join(names)}: {fault}" for fault in found]


def check(job: Job, setup: Setup, paired: bool) -> list[str]:
    """A model on each backend, on every pair if that is wanted, and on all of them."""
    exact = setup.run(job.decoded, job.tokens, ["cpu"])
    alone = {name: setup.run(job.path, job.tokens, [name]) for name in ["cpu", *BACKENDS.values()]}
    found = [
        fault
        for name, got in alone.items()
        for fault in faults(job, [name], got, alone["cpu"], exact)
    ]
    pairs = itertools.combinations(alone, 2) if paired else ()
    for names in [*pairs, tuple(alone)]:
        got = setup.run(job.path, job.tokens, names, pins(names, alone))
        found += faults(job, names, got, alone["cpu"], exact)
    return found


def main() -> int:
    options = arguments()
    found = []
    with tempfile.TemporaryDirectory(prefix="same-words-") as folder:
        setup = Setup(Path(folder), options)
        for job in jobs(Path(folder), options):
            paired = options.every_pair or job.source == "demo" or job.kind in PAIRED
            found += check(job, setup, paired)
    for fault in found:
        print(fault, file=sys.stderr)
    return int(bool(found))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    parser.add_argument("--libraries", type=Path, default=target, help="their folder")
    parser.add_argument("--ggml", type=Path, required=True, help="the folder of ggml's libraries")
    parser.add_argument(
        "--models", nargs="+", choices=["demo", "random"], default=["demo", "random"]
    )
    parser.add_argument("--types", nargs="+", choices=TYPES, default=TYPES)
    parser.add_argument("--every-pair", action="store_true", help="also of the larger models")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
