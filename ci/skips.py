"""A plugin of pytest for the checks: a test that is skipped for a reason which is not listed here fails the run.

    PYTHONPATH=ci python -m pytest -p skips FOLDER

A test that cannot find what it needs skips itself, which is right on a machine where somebody works on something else.
The checks have built and installed everything, so that such a skip there means that nothing is tested any more.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

# What reasons look like, and why the tests may be left out.
EXPECTED = {
    r"no control group can be made here": "containers seldom let one; affinity is tested everywhere",
    r"could not import '(torch|transformers|llama_cpp)'": "engines of gigabytes, which the checks do not install",
    r"no oracle without REMUDA_TEST_GGML": "ggml itself is compared with by hand; `golden.py` recorded what it says",
    r"REMUDA_TEST_GGUF names no folder": "real models are not downloaded",
    r"decode only": "the format has no encoder",
    r"the reference leaves the places of an all-zero block to chance": "there is no one answer",
    r"a cache holds keys and values of one width": "no such operator",
    r"ONNX Runtime refuses a past and an `attention_bias` together": "nothing to compare with",
}


class Skips:
    """Counts the tests that were skipped, by reason."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()

    def unexpected(self) -> list[str]:
        return [why for why in self.reasons if not any(re.search(known, why) for known in EXPECTED)]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.add(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not hasattr(report, "wasxfail"):
            self.add(report)

    def add(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.skipped:
            # A place in a file and the reason, unless another plugin has put something else there.
            place = report.longrepr
            reason = place[2] if isinstance(place, tuple) else str(place)
            self.reasons[reason.removeprefix("Skipped: ")] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        unexpected = self.unexpected()
        for reason, count in sorted(self.reasons.items()):
            verdict = "failed: unexpected skip" if reason in unexpected else "skipped"
            terminalreporter.line(f"{verdict}: {count} x {reason}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Skips(), "remuda-skips")
