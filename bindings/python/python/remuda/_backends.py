"""Names of backends: ours, and those that ONNX Runtime's users write."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from remuda._errors import InputError

Fallback = Literal["allow", "warn", "error"]
Backend = str | tuple[str, Mapping[str, Any]]

SUFFIX = "executionprovider"
# Kinds of devices that providers can offer; one that is none of these is a spelling mistake.
KINDS = frozenset(
    ["auto", "cann", "coreml", "cpu", "cuda", "dml", "metal", "migraphx", "nnapi", "openvino"]
    + ["qnn", "rocm", "tensorrt", "vulkan", "webgpu", "wgpu", "xnnpack"]
)
ALIASES = {"gpu": "cuda", "tensorrtrtx": "tensorrt", "nvtensorrtrtx": "tensorrt"}
OPTIONS = frozenset(["threads", "intra_op_num_threads"])


def kind_of(name: str) -> str:
    """Our name of a backend: `CPUExecutionProvider` is `cpu`."""
    lower = name.lower().removesuffix(SUFFIX)
    return ALIASES.get(lower, lower)


def present(wanted: Sequence[str], available: Sequence[str], fallback: Fallback) -> list[str]:
    """Those of the wanted backends that are there, in their order; `fallback` says what if one is not."""
    found = []
    for name in wanted:
        kind = name.lower() if name.lower() in available else kind_of(name)
        if kind in available or kind not in KINDS or fallback == "error":
            found.append(kind)
        elif fallback == "warn":
            there = ", ".join(f"`{other}`" for other in available)
            text = f"backend `{name}` is not available, only {there}: going on without it"
            warnings.warn(text, RuntimeWarning, stacklevel=4)
    return found or ["cpu"]


def expect_fallback(fallback: str) -> None:
    if fallback not in ("allow", "warn", "error"):
        raise InputError(f"expected `fallback` to be allow, warn or error, got `{fallback}`")


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
        names.append(name)
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
