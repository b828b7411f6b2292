#!/usr/bin/env python3
"""Runs ONNX's own backend test suite against Remuda's Python wheel, case by case, and says where it stands.

    python tests/python/backend_suite.py                           all cases, table, exit code
    python tests/python/backend_suite.py --filter resize --list    what did not pass among some cases
    python tests/python/backend_suite.py --case test_relu -v       one case in this process, in full
    python tests/python/backend_suite.py --engine onnxruntime      the same cases on another runtime
    python tests/python/backend_suite.py --backend fake,cpu --cuts 1
                                                                   every graph cut at random between two providers
    python tests/python/backend_suite.py --backend onnxruntime:cpu --only --library LIBRARY --write-docs
                                                                   what a provider does without the CPU

The cases are those of the installed `onnx`; run it once per `onnx` version, then `--write-docs` puts the stored
results of all versions on one page. Exit code 1: a wrong answer, an error that is no typed refusal, a crash, a
hang, or fewer passes than `suite/report.py` asks for (Remuda only).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
import traceback
from pathlib import Path

import numpy as np
import onnx
import onnx.printer

sys.path.append(str(Path(__file__).resolve().parents[1] / "bench"))

from page import measured_on
from suite import engines, report, support
from suite.collect import Case, Delegate, collect
from suite.pool import Limits, run_all
from suite.verdict import FAULTS, Outcome, Verdict, judge

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "target" / "backend-suite"
LIBRARY = ROOT / "target" / "release" / "examples" / "libremuda_fake.so"
PAGE = ROOT / "docs" / "reference" / "onnx-support.md"
SUPPORT_PAGE = ROOT / "docs" / "reference" / "provider-support.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", choices=engines.NAMES, default="remuda")
    parser.add_argument("--backend", metavar="NAMES", help="backends of Remuda, `fake,cpu`")
    parser.add_argument("--only", action="store_true", help="let nothing run elsewhere")
    parser.add_argument("--cuts", metavar="SEED", type=int, help="the fake takes random nodes")
    parser.add_argument(
        "--library",
        type=Path,
        default=LIBRARY,
        help="the library of the provider among the backends",
    )
    parser.add_argument("--case", metavar="NAME", help="run one case in this process")
    parser.add_argument("--dump", metavar="DIR", type=Path, help="with --case: save model and data")
    parser.add_argument("-v", "--verbose", action="store_true", help="print models, data, errors")
    parser.add_argument("--filter", metavar="REGEX", help="only cases whose name matches")
    parser.add_argument("--list", action="store_true", help="print every case that did not pass")
    parser.add_argument("-j", "--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--deadline", type=float, default=60.0, metavar="SECONDS", help="per case")
    parser.add_argument("--memory-gb", type=float, default=16.0, help="address space of a worker")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help=f"write {PAGE.relative_to(ROOT)}, or with --backend {SUPPORT_PAGE.relative_to(ROOT)}",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are stored")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    package = "onnx" if options.engine == "reference" else options.engine
    if importlib.util.find_spec(package) is None:
        print(f"the Python package `{package}` is not installed", file=sys.stderr)
        return 2
    if options.backend:
        way = "remuda-only" if options.only else "remuda"
        options.engine = f"{way} {options.backend} {plugins_file(options)}"
    cases = collect(options.results / f"data-{onnx.__version__}")
    if options.case:
        return run_one(cases, options)
    if options.filter:
        cases = [case for case in cases if re.search(options.filter, case.name)]
    if not cases:
        print(f"no case matches `{options.filter}`", file=sys.stderr)
        return 2
    return run_many(cases, options)


def plugins_file(options: argparse.Namespace) -> Path:
    """A `plugins.toml` that loads the fake, with random cuts if they are asked for."""
    options.results.mkdir(parents=True, exist_ok=True)
    cuts = "" if options.cuts is None else f'options = {{ cuts = "{options.cuts}" }}\n'
    library = options.library.resolve()
    file = options.results / f"plugins-{library.stem}-{options.cuts}.toml"
    file.write_text(f'[[provider]]\nlibrary = "{library}"\nisolation = "none"\n{cuts}')
    return file


def run_many(cases: list[Case], options: argparse.Namespace) -> int:
    limits = Limits(options.deadline, int(options.memory_gb * 2**30))
    done = 0

    def progress(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if sys.stderr.isatty():
            print(f"\r{done}/{len(cases)} {outcome.name:<60.60}", end="", file=sys.stderr)

    outcomes = run_all(cases, options.engine, options.jobs, limits, progress)
    if sys.stderr.isatty():
        print("\r" + " " * 80 + "\r", end="", file=sys.stderr)
    result = report.Result(
        options.engine,
        engines.version(options.engine.split(" ")[0].removesuffix("-only")),
        onnx.__version__,
        outcomes,
        measured_on(),
    )
    print(f"{result.engine} {result.engine_version} on the cases of onnx {result.onnx_version}\n")
    print(report.category_table(result))
    if options.list or options.verbose:
        for reason, names in report.reasons(outcomes):
            print(f"\n{reason}\n    {' '.join(sorted(names))}")
    if options.filter:
        return int(any(outcome.verdict != Verdict.PASS for outcome in outcomes))
    return conclude(result, options)


def conclude(result: report.Result, options: argparse.Namespace) -> int:
    """Stores a whole run, says what changed since the one before, and judges it."""
    if options.backend and options.write_docs:
        page = SUPPORT_PAGE.read_text() if SUPPORT_PAGE.exists() else support.PAGE_HEAD
        page = support.with_section(page, result, options.backend, options.only)
        SUPPORT_PAGE.write_text(page)
    if options.only:
        return int(any(result.count(verdict) for verdict in FAULTS))
    if options.backend:
        return compare_with_cpu(result, options)
    for before in report.load_results(options.results, result.engine):
        if before.onnx_version == result.onnx_version:
            for change, count in sorted(report.verdict_changes(before, result).items()):
                print(f"since the last run: {change}: {count}")
    print(f"\nstored in {result.save(options.results)}")
    if result.engine != "remuda":
        return 0
    if options.write_docs:
        PAGE.write_text(report.support_page(report.load_results(options.results, "remuda")))
        print(f"wrote {PAGE}")
    complaints = result.complaints()
    for complaint in complaints:
        print(f"failed: {complaint}", file=sys.stderr)
    return int(bool(complaints))


def compare_with_cpu(result: report.Result, options: argparse.Namespace) -> int:
    """Placed elsewhere, every case must end as it does on the CPU."""
    plain = [
        before
        for before in report.load_results(options.results, "remuda")
        if before.onnx_version == result.onnx_version
    ]
    if not plain:
        print("there is no stored run on the CPU to compare with", file=sys.stderr)
        return 1
    before = {outcome.name: outcome for outcome in plain[0].outcomes}
    changed = [
        outcome
        for outcome in result.outcomes
        if outcome.name in before and outcome.verdict != before[outcome.name].verdict
    ]
    for outcome in changed:
        was = before[outcome.name].verdict
        print(f"{outcome.name}: {was} on the CPU, {outcome.verdict} here: {outcome.reason}")
    print(f"\n{len(changed)} of {len(result.outcomes)} cases end otherwise than on the CPU")
    return int(bool(changed))


def run_one(cases: list[Case], options: argparse.Namespace) -> int:
    """One case, in this process: a debugger or a core dump sees everything."""
    names = {case.name: case for case in cases}
    case = names.get(options.case) or names.get(f"test_{options.case}")
    if case is None:
        near = [name for name in names if options.case in name][:20]
        print(f"no case `{options.case}`; near: {' '.join(near) or 'none'}", file=sys.stderr)
        return 2
    engine = engines.load(options.engine)
    if options.verbose or options.dump:
        engine = engines.Engine(
            engine.name, engine.version, Tracer(engine, options).prepare, engine.refuses
        )
    outcome = judge(case, engine, traceback.print_exception if options.verbose else ignore)
    print(f"{case.name} ({case.category}): {outcome.verdict}")
    if outcome.reason:
        print(outcome.reason)
    return int(outcome.verdict != Verdict.PASS)


def ignore(error: Exception) -> None:
    """The one-line reason is enough."""


class Tracer:
    """Stands between the suite and the runtime, printing or saving the model and what goes in and out."""

    def __init__(self, engine: engines.Engine, options: argparse.Namespace) -> None:
        self.engine = engine
        self.verbose = options.verbose
        self.folder = options.dump
        self.runs = 0

    def prepare(self, model: onnx.ModelProto) -> Tracer:
        if self.verbose:
            print(onnx.printer.to_text(model))
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            onnx.save(model, self.folder / "model.onnx")
        self.model = Delegate.last_model
        self.prepared = self.engine.prepare(model)
        return self

    def run(self, inputs: list[object]) -> list[object]:
        self.show("input", self.model.graph.input, inputs)
        outputs = list(self.prepared.run(inputs))
        self.show("output", self.model.graph.output, outputs)
        self.runs += 1
        return outputs

    def show(self, kind: str, declared: list[onnx.ValueInfoProto], values: list[object]) -> None:
        for value_info, value in zip(declared, values):
            if self.verbose:
                described = f"{value.dtype}{list(value.shape)} " if hasattr(value, "dtype") else ""
                print(f"{kind} `{value_info.name}`: {described}{value}")
            if self.folder and isinstance(value, np.ndarray):
                np.save(self.folder / f"{kind}-{self.runs}-{value_info.name}.npy", value)


if __name__ == "__main__":
    sys.exit(main())
