"""Provider libraries that came as Python packages: `pip install remuda-onnxruntime`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, distributions

# An entry point of this group names a package whose folder holds libraries. The package is not imported.
GROUP = "remuda.providers"

# What installers call it, its folder, and why it has none if it has none.
Package = tuple[str, str | None, str]


@cache
def installed() -> list[Package]:
    """All such packages, by the name of their provider. One that is broken is told of, and does no harm."""
    found: dict[str, Package] = {}
    for distribution in distributions():
        for provider, package in _announced(distribution):
            # What comes first on the path hides what comes later.
            found.setdefault(provider, package)
    return [package for _, package in sorted(found.items())]


def _announced(distribution: Distribution) -> Iterator[tuple[str, Package]]:
    try:
        entries = [entry for entry in distribution.entry_points if entry.group == GROUP]
    except Exception as error:
        # Such a list may be anybody's: of those only a package of ours is told of.
        name = _name(distribution)
        if name.startswith("remuda"):
            yield name, (name, None, f"its entry points cannot be read: {error}")
        return
    for entry in entries:
        yield entry.name, (_name(distribution), *_folder(entry.value))


def _name(distribution: Distribution) -> str:
    try:
        return distribution.metadata["Name"] or "a package without a name"
    except Exception:
        return "a package without a name"


def _folder(module: str) -> tuple[str | None, str]:
    """Where a package lies; only one at the top is found without running code."""
    if not module.isidentifier():
        return None, f"expected its entry point to be the name of a package, got `{module}`"
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:
        return None, f"package `{module}` cannot be looked for: {error}"
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    return (folders[0], "") if folders else (None, f"there is no package `{module}`")
