"""Provider libraries that came as Python packages: `pip install remuda-onnxruntime`."""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib.metadata import entry_points

# An entry point of this group names a package whose folder holds libraries. The package is not imported.
GROUP = "remuda.providers"


@cache
def installed_folders() -> list[str]:
    """The folders of all such packages, by the name of their provider."""
    folders = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        # Only a package at the top is found without running code.
        spec = importlib.util.find_spec(entry.module) if "." not in entry.module else None
        if spec is not None:
            folders += spec.submodule_search_locations or []
    return folders
