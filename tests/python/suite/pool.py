"""Runs cases in a few worker processes, so that a crash or a hang costs one case and no more.

The parent collects the cases once and forks; a worker imports the runtime, takes case numbers from its pipe
and answers with outcomes. A worker that dies or misses the deadline is replaced, and the last lines it wrote
to standard error become the reason.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from suite import engines
from suite.collect import Case
from suite.verdict import Outcome, Verdict, judge

# A worker's first case also pays for importing the runtime.
IMPORT_ALLOWANCE_S = 60.0


@dataclass
class Limits:
    """What one case may cost."""

    deadline_s: float
    memory_bytes: int


class Worker:
    """A child process with at most one case under way."""

    def __init__(
        self, cases: Sequence[Case], engine_name: str, limits: Limits, folder: Path
    ) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, child_end = context.Pipe()
        self.limits = limits
        self.current: int | None = None
        self.due = 0.0
        self.fresh = True
        log, name = tempfile.mkstemp(dir=folder, suffix=".stderr")
        os.close(log)
        self.log = Path(name)
        self.process = context.Process(
            target=_serve, args=(child_end, cases, engine_name, limits, self.log), daemon=True
        )
        self.process.start()
        child_end.close()

    def give(self, index: int) -> None:
        self.current = index
        self.due = time.monotonic() + self.limits.deadline_s + IMPORT_ALLOWANCE_S * self.fresh
        self.fresh = False
        self.log.write_bytes(b"")
        self.pipe.send(index)

    def end(self) -> str:
        """Kills the process and says how it ended, for the report."""
        self.process.join(timeout=1.0)
        alive = self.process.exitcode is None
        self.process.kill()
        self.process.join()
        code = self.process.exitcode or 0
        ending = "" if alive else f"the process ended with {_exit_name(code)}"
        lines = self.log.read_text(errors="replace").split("\n")
        last_words = " ".join(" ".join(lines[-12:]).split())[-400:]
        self.pipe.close()
        return ": ".join(part for part in (ending, last_words) if part)


def run_all(
    cases: Sequence[Case],
    engine_name: str,
    jobs: int,
    limits: Limits,
    progress: Callable[[Outcome], None],
) -> list[Outcome]:
    """Runs every case and returns the outcomes in the order of `cases`."""
    outcomes: dict[int, Outcome] = {}
    waiting = list(range(len(cases)))[::-1]
    with tempfile.TemporaryDirectory(prefix="backend-suite-") as folder:

        def start() -> Worker:
            return Worker(cases, engine_name, limits, Path(folder))

        workers = [start() for _ in range(min(jobs, len(cases)))]
        while len(outcomes) < len(cases):
            for worker in workers:
                if worker.current is None and waiting:
                    worker.give(waiting.pop())
            for position, worker in enumerate(workers):
                outcome = _poll(worker, cases)
                if outcome is None:
                    continue
                if outcome.verdict in (Verdict.CRASH, Verdict.HANG):
                    workers[position] = start()
                outcomes[worker.current] = outcome
                worker.current = None
                progress(outcome)
            busy = [worker.pipe for worker in workers if worker.current is not None]
            wait(busy, timeout=0.2)
        for worker in workers:
            worker.process.kill()
            worker.end()
    return [outcomes[index] for index in range(len(cases))]


def _poll(worker: Worker, cases: Sequence[Case]) -> Outcome | None:
    """The outcome of the worker's case if there is one by now; ends the worker if it died or is late."""
    if worker.current is None:
        return None
    case = cases[worker.current]
    try:
        if worker.pipe.poll():
            return worker.pipe.recv()
    except (EOFError, OSError):
        return Outcome(case.name, case.category, Verdict.CRASH, worker.end())
    if time.monotonic() < worker.due:
        return None
    worker.process.kill()
    worker.end()
    reason = f"no answer within {worker.limits.deadline_s:g} s"
    return Outcome(case.name, case.category, Verdict.HANG, reason)


def _serve(
    pipe: Connection, cases: Sequence[Case], engine_name: str, limits: Limits, log: Path
) -> None:
    """The worker's side: runs the case of each number that arrives until the parent is gone."""
    faulthandler.disable()
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    engine = engines.load(engine_name)
    while True:
        try:
            index = pipe.recv()
        except EOFError:
            return
        pipe.send(judge(cases[index], engine))


def _exit_name(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
