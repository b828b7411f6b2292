"""As many threads as this process may use: fewer where its affinity or a control group's quota says so."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ASK = "import remuda; print(remuda.Runtime(['cpu']).threads)"

# Where control groups that limit processor time lie, by version: the file of the limit, and 100 of every 100 ms in it.
KINDS = [
    (Path("/sys/fs/cgroup/cpu"), "cpu.cfs_quota_us", "100000"),
    (Path("/sys/fs/cgroup"), "cpu.max", "100000 100000"),
]


def threads(prepare: Callable[[], None]) -> int:
    around = {key: value for key, value in os.environ.items() if key != "REMUDA_THREADS"}
    command = [sys.executable, "-c", ASK]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=True, env=around, preexec_fn=prepare
    )
    return int(answer.stdout)


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group whose processes get the time of one core."""
    for parent, limit, text in KINDS:
        folder = parent / f"remuda-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limit).write_text(text)
        except OSError:
            folder.rmdir()
            continue
        yield folder
        folder.rmdir()
        return
    pytest.skip("no control group can be made here")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has affinities")
def test_threads_follow_the_affinity() -> None:
    cores = sorted(os.sched_getaffinity(0))
    assert threads(lambda: os.sched_setaffinity(0, cores[:1])) == 1
    assert threads(lambda: None) <= len(cores)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has control groups")
def test_threads_follow_the_quota(group: Path) -> None:
    assert threads(lambda: (group / "cgroup.procs").write_text(str(os.getpid()))) == 1
