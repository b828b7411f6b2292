"""One runtime with one network in a process of its own, told when to run and asked for its memory."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from catalog import Entry

WARM_UP_RUNS = 2


class Side:
    """The parent's handle; use it in a `with` block."""

    def __init__(self, engine: str, entry: Entry, path: Path, threads: int) -> None:
        # Not `fork`: a forked child would count the parent's memory as its own.
        context = multiprocessing.get_context("spawn")
        self.pipe, child_end = context.Pipe()
        self.process = context.Process(
            target=serve, args=(child_end, engine, entry, path, threads), daemon=True
        )
        self.process.start()
        child_end.close()
        self.expect("ready")

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self.pipe.close()
        self.process.join(timeout=5)
        self.process.kill()

    def run_for(self, seconds: float) -> list[float]:
        """Seconds of each run in a turn of about `seconds`, without the first, which wakes things up."""
        self.pipe.send(("run", seconds))
        return self.expect("times")

    def peak_mb(self) -> float:
        """The most memory held, without what was there before the runtime was imported."""
        self.pipe.send(("memory", None))
        return self.expect("memory")

    def backends(self) -> list[str]:
        """Who runs the model, most preferred first."""
        self.pipe.send(("backends", None))
        return self.expect("backends")

    def expect(self, kind: str) -> Any:
        try:
            got, value = self.pipe.recv()
        except EOFError:
            self.process.join(timeout=5)
            code = self.process.exitcode
            raise RuntimeError(f"the measured process ended with code {code}") from None
        if got != kind:
            raise RuntimeError(f"the measured process said `{got}`, expected `{kind}`: {value}")
        return value


def serve(pipe: Connection, engine: str, entry: Entry, path: Path, threads: int) -> None:
    """The child's side."""
    from inputs import feeds

    arrays = feeds(entry.inputs, entry.bench, seed=3)
    held = sys.modules.keys() & {"onnxruntime", "remuda"}
    if held:
        raise RuntimeError(f"imported before memory is counted: {', '.join(held)}")
    before = peak_rss_mb()
    session = open_session(engine, path, threads)
    wanted = {value.name for value in session.get_inputs()}
    arrays = {name: array for name, array in arrays.items() if name in wanted}
    for _ in range(WARM_UP_RUNS):
        session.run(None, arrays)
    pipe.send(("ready", None))
    while True:
        try:
            order, value = pipe.recv()
        except EOFError:
            return
        if order == "run":
            pipe.send(("times", timed_runs(session, arrays, value)))
        elif order == "backends":
            pipe.send(("backends", session.get_providers()))
        else:
            pipe.send(("memory", peak_rss_mb() - before))


def timed_runs(session: Any, arrays: dict[str, Any], seconds: float) -> list[float]:
    times: list[float] = []
    session.run(None, arrays)
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        session.run(None, arrays)
        times.append(time.perf_counter() - start)
    return times


class Talk:
    """A language model as a session whose run reads a prompt that is new each time and goes on from it."""

    PROMPT, ANSWER = 64, 32

    def __init__(self, model: Any) -> None:
        self.model = model
        self.vocabulary = model.info()["vocabulary"]
        self.runs = 0

    def get_inputs(self) -> list[Any]:
        return []

    def get_providers(self) -> list[str]:
        parts = self.model.placement()["parts"]
        return list(dict.fromkeys(part["backend"] for part in parts))

    def run(self, _outputs: None, _arrays: dict[str, Any]) -> list[int]:
        self.runs += 1
        prompt = [(self.runs * 7919 + at * 31) % self.vocabulary for at in range(self.PROMPT)]
        tokens = list(self.model.greedy(prompt, self.ANSWER, []))
        if len(tokens) != self.ANSWER:
            raise RuntimeError(f"the model ended after {len(tokens)} tokens")
        return tokens


def open_talk(engine: str, path: Path, threads: int) -> Talk:
    """A language model in `remuda BACKENDS FILE`."""
    from remuda import _core

    _, backends, plugins = engine.split(" ", 2)
    contract = {} if backends == "auto" else {"policy": "priority"}
    runtime = _core.Runtime(backends.split(","), threads, plugins, contract=contract)
    return Talk(_core.LanguageModel(runtime, path))


def open_session(engine: str, path: Path, threads: int) -> Any:
    if path == Path("demo") or path.suffix == ".gguf":
        return open_talk(engine, path, threads)
    if engine == "remuda":
        import remuda

        return remuda.InferenceSession(str(path), providers=[("CPU", {"threads": threads})])
    if engine.startswith("remuda "):
        sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))
        from sessions import open_placed

        return open_placed(engine, path, threads)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if engine == "onnxruntime-plain":
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def peak_rss_mb() -> float:
    """Of this program alone: `ru_maxrss` would count what the parent held when it started the child."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)
