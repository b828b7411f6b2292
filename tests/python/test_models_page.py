"""The page of models has every architecture, and no figure beyond what the tests allow."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOUND = 1e-4


def test_every_architecture_is_on_the_page_within_the_bound() -> None:
    page = (ROOT / "docs/reference/models.md").read_text()
    rows = [row.strip("| \n").split(" | ") for row in page.split("\n") if row.startswith("| ")][2:]
    on_page = {row[1] for row in rows}
    sources = (ROOT / "runtime-core/models/src/arch").glob("*.rs")
    built = {re.search(r'names: &\["([^"]+)"', source.read_text())[1] for source in sources}
    assert on_page == built
    figures = [float(figure) for row in rows for figure in row[3:] if figure != "-"]
    assert len(figures) >= 2 * len(rows) and max(figures) <= BOUND
