"""What a run of the suite says: the table on the terminal, the stored result and the support page.

Results are stored per runtime and `onnx` version, so that runs made in different environments meet on one page.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.collect import CATEGORIES
from suite.verdict import FAULTS, Outcome, Verdict


@dataclass(frozen=True)
class Floor:
    """What is asked of Remuda for one `onnx` release, and what ONNX Runtime's CPU provider reaches there."""

    cases: int
    passes: int
    onnxruntime_passes: int
    onnxruntime_version: str


FLOORS = {
    "1.19.1": Floor(1764, 1680, 1639, "1.31.1"),
    "1.23.2": Floor(2033, 1880, 1547, "1.31.1"),
}


@dataclass
class Result:
    """All outcomes of one runtime on the cases of one `onnx` version."""

    engine: str
    engine_version: str
    onnx_version: str
    outcomes: list[Outcome]
    # The day and the machine.
    measured_on: str = ""

    def count(self, verdict: Verdict, category: str | None = None) -> int:
        return sum(
            outcome.verdict == verdict and category in (None, outcome.category)
            for outcome in self.outcomes
        )

    def complaints(self) -> list[str]:
        """Why this result is not good enough for Remuda; empty when it is."""
        found = [
            f"{self.count(verdict)} cases ended as `{verdict}`, expected none"
            for verdict in FAULTS
            if self.count(verdict)
        ]
        floor = FLOORS.get(self.onnx_version)
        if floor is None:
            return found
        if len(self.outcomes) != floor.cases:
            found.append(f"expected {floor.cases} cases, got {len(self.outcomes)}")
        if self.count(Verdict.PASS) < floor.passes:
            found.append(f"expected at least {floor.passes} passes, got {self.count(Verdict.PASS)}")
        return found

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.engine}-onnx-{self.onnx_version}.json"
        document = {
            "engine": self.engine,
            "engine_version": self.engine_version,
            "onnx_version": self.onnx_version,
            "measured_on": self.measured_on,
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
        }
        path.write_text(json.dumps(document, indent=1) + "\n")
        return path


def load_results(folder: Path, engine: str) -> list[Result]:
    """The stored results of `engine`, oldest `onnx` first."""
    results = []
    for path in folder.glob(f"{engine}-onnx-*.json"):
        document = json.loads(path.read_text())
        outcomes = [Outcome.from_json(value) for value in document.pop("outcomes")]
        results.append(Result(outcomes=outcomes, **document))
    return sorted(results, key=lambda r: [int(part) for part in r.onnx_version.split(".")])


def category_table(result: Result) -> str:
    """Verdicts by category, in Markdown with padded columns so that it reads on a terminal too."""
    rows = [["category", "cases", *Verdict]]
    for category in [*CATEGORIES, None]:
        counts = [result.count(verdict, category) for verdict in Verdict]
        if sum(counts):
            rows.append([category or "all", str(sum(counts)), *map(str, counts)])
    return markdown_table(rows)


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the head; the first column is aligned left and the others right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]
        return f"| {' | '.join(cells)} |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (w - 1) + ":" for w in widths[1:])]
    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])


def reasons(outcomes: Iterable[Outcome]) -> list[tuple[str, list[str]]]:
    """Cases that share a reason, the most frequent reason first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.verdict != Verdict.PASS:
            groups[f"{outcome.verdict}: {outcome.reason}"].append(outcome.name)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))


def support_page(results: Sequence[Result]) -> str:
    """`docs/reference/onnx-support.md`: totals, categories and every case that does not pass, with its reason."""
    parts = [PAGE_HEAD, _totals(results)]
    for result in results:
        parts.append(f"## onnx {result.onnx_version}")
        parts.append(f"{result.measured_on}. Remuda {result.engine_version}.")
        parts.append(category_table(result))
        parts.append(_open_cases(result))
    return "\n\n".join(parts) + "\n"


PAGE_HEAD = """# ONNX support

<!-- Generated by `python tests/python/backend_suite.py --write-docs`. Do not edit. -->

Remuda runs the backend test suite that ships inside the `onnx` Python package, every case of it, through the
Python wheel's `remuda.onnx_backend`. Loading, data, tolerances and comparison are the suite's own. A case that does
not pass has to end in `remuda.UnsupportedError` with the operator, attribute or data type it refuses; a wrong
answer, any other error, a crash or a hang fails the build. Nothing is skipped. `random`: the model draws random
numbers and the suite expects one draw of numpy's generator; type and shape are right, the values are other ones.
`superseded`: a later `onnx` replaced the expected output, and Remuda's is the later one. `noise`: the expected
values are rounding noise above the suite's tolerance, and ours differ by no more than a stated bound."""


def _totals(results: Sequence[Result]) -> str:
    rows = [["onnx", "cases", *Verdict, "asked for", "ONNX Runtime passes"]]
    for result in results:
        floor = FLOORS.get(result.onnx_version)
        counts = [str(result.count(verdict)) for verdict in Verdict]
        asked = str(floor.passes) if floor else "-"
        reference = f"{floor.onnxruntime_passes} ({floor.onnxruntime_version})" if floor else "-"
        rows.append([result.onnx_version, str(len(result.outcomes)), *counts, asked, reference])
    return markdown_table(rows)


def _open_cases(result: Result) -> str:
    groups = reasons(result.outcomes)
    if not groups:
        return "Every case passes."
    lines = ["Cases that do not pass, by reason:", ""]
    for reason, names in groups:
        lines.append(f"* {reason} ({len(names)})")
        lines.append(f"  {', '.join(f'`{name}`' for name in sorted(names))}")
    return "\n".join(lines)


def verdict_changes(before: Result, after: Result) -> Counter[str]:
    """How many cases moved between verdicts since `before`, as `pass -> wrong` and the like."""
    old = {outcome.name: outcome.verdict for outcome in before.outcomes}
    return Counter(
        f"{old[outcome.name]} -> {outcome.verdict}"
        for outcome in after.outcomes
        if outcome.name in old and old[outcome.name] != outcome.verdict
    )
