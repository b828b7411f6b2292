"""The page of figures: every script owns a marked section of it."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE_NAME = "docs/performance.md"
PAGE = ROOT / PAGE_NAME


def record(name: str, section: str) -> None:
    """Puts a section between its markers, or behind the page's text if it has none."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    text = PAGE.read_text() if PAGE.exists() else "# Performance\n"
    block = f"{begin}\n{section}\n{end}"
    if begin in text and end in text:
        head, rest = text.split(begin, 1)
        text = head + block + rest.split(end, 1)[1]
    else:
        text = f"{text.rstrip()}\n\n{block}\n"
    PAGE.write_text(text)
    print(f"wrote {PAGE}")


def measured_on() -> str:
    """The day, and the machine."""
    return f"{datetime.now(UTC):%Y-%m-%d}, {processor()}, {platform.system()} {platform.machine()}"


def processor() -> str:
    """The processor's name, how many cores this process may use, and its vector units."""
    name, flags = platform.processor() or "unknown processor", ""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for text in information.read_text().split("\n"):
            key, _, value = text.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            if key.strip() == "flags":
                flags = value
    units = [
        unit for unit in ("avx2", "avx512f", "avx512_vnni", "amx_int8") if unit in flags.split()
    ]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores ({', '.join(units) or 'no AVX2'})"
