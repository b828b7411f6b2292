"""Names of backends: ours, and those that ONNX Runtime's users write."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from remuda._errors import InputError

Fallback = Literal["allow", "warn", "error"]
Backend = str | tuple[str, Mapping[str, Any]]

SUFFIX = "executionprovider"
# Where ONNX Runtime has another name for a kind of device than Remuda.
ALIASES = {
    "dml": "directml",
    "migraphx": "rocm",
    "nvtensorrtrtx": "tensorrt",
    "tensorrtrtx": "tensorrt",
}
OPTIONS = frozenset(["threads", "intra_op_num_threads"])


def kind_of(name: str) -> str:
    """Our name of a backend: `CPUExecutionProvider` is `cpu`."""
    lower = name.lower().removesuffix(SUFFIX)
    return ALIASES.get(lower, lower)


def tell(notes: Sequence[str], depth: int = 3) -> None:
    """Warns of what placement wants to be known, at the line so many calls up that asked for a model."""
    for text in notes:
        warnings.warn(text, RuntimeWarning, stacklevel=depth)


def names_and_options(
    backends: Sequence[Backend] | None, options: Sequence[Mapping[str, Any]] | None
) -> tuple[list[str], int | None, dict[str, dict[str, str]]]:
    """The names of backends, the thread count that their options ask for, and the options of each provider."""
    backends = ["auto"] if backends is None else list(backends)
    if options is not None and len(options) != len(backends):
        counts = f"{len(backends)} providers, got {len(options)}"
        raise InputError(f"expected as many provider options as {counts}")
    names = []
    threads = None
    of_provider: dict[str, dict[str, str]] = {}
    for at, backend in enumerate(backends):
        name, own = (backend, {}) if isinstance(backend, str) else backend
        names.append(kind_of(name))
        for key, value in {**own, **(options[at] if options else {})}.items():
            if kind_of(name) != "cpu" and name.lower() != "auto":
                of_provider.setdefault(name.lower().split(":")[0], {})[key] = str(value)
            elif key in OPTIONS and name.lower() != "auto":
                threads = whole_number(key, value)
            else:
                raise InputError(f"backend `{name}` has no option `{key}`")
    return names, threads, of_provider


def whole_number(key: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise InputError(f"expected a number for `{key}`, got `{value}`") from None
