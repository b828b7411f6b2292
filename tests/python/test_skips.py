"""The checks' plugin against silent skips: only listed reasons let a run end well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = Path(__file__).resolve().parents[2] / "ci"

MODULE = """
import pytest
{head}
def test_one():
    {body}
"""


@pytest.mark.parametrize(
    ("head", "body", "code"),
    [
        ("", "pass", 0),
        ("", "pytest.skip('decode only')", 0),
        ("", "pytest.skip('the library is not built')", 1),
        ("", "pytest.xfail('a known gap')", 0),
        ("pytest.importorskip('torch.does_not_exist')", "pass", 1),
        ("pytest.skip('nothing here', allow_module_level=True)", "pass", 1),
        ("@pytest.mark.skipif(True, reason='no compiler')", "pass", 1),
    ],
)
def test_a_skip_fails_unless_its_reason_is_listed(
    head: str, body: str, code: int, tmp_path: Path
) -> None:
    file = tmp_path / "test_it.py"
    # A second test, so that a module that is left out is not all there is.
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n")
    file.write_text(MODULE.format(head=head, body=body))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "skips", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(CHECKS)}
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == code, ended.stdout
    assert ("failed: unexpected skip: 1 x " in ended.stdout) == bool(code), ended.stdout
