"""Runtimes and sessions, in the manner of ONNX Runtime."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from remuda import _core
from remuda._backends import Backend, Fallback, names_and_options, tell
from remuda._closing import Holding
from remuda._providers import installed


@dataclass
class SessionOptions:
    """How a session runs. 0 threads: as many as this process may use."""

    intra_op_num_threads: int = 0


@cache
def _available() -> list[str]:
    return _core.Runtime(["cpu"], 1, packages=installed()).providers()


def get_available_providers() -> list[str]:
    """The providers that work on this machine, by our names."""
    return list(_available())


class Runtime(Holding[_core.Runtime]):
    """Which backends may be used, in order of preference, and with how many threads.

    A backend is a provider (`fake`), a kind of device (`cuda`), both (`fake:gpu`), or `auto`: cost decides. With
    options it is a pair, `("fake", {"memory": "1000000"})`. The CPU is always there, and last. `fallback` says what
    happens if the CPU has to run what a backend does not take: `allow` goes on, `warn` says so, `error` raises. A
    backend that is not there is left out with a warning; `error` raises. `plugins` is the `plugins.toml` that says
    which provider libraries may be loaded, and what is demanded of placements; `contract` demands more or otherwise:
    `require`, `max_cpu_share`, `max_parts`, `policy`, `deadline` (seconds). Where nothing at all is demanded,
    `fallback` is `warn`. `pins` names nodes that must run on a backend, and which: models without such a node are not
    loaded.
    """

    _name = "runtime"

    def __init__(
        self,
        backends: Sequence[Backend] | None = None,
        threads: int | None = None,
        *,
        fallback: Fallback | None = None,
        plugins: str | os.PathLike[str] | None = None,
        contract: Mapping[str, Any] | None = None,
        pins: Mapping[str, str] | None = None,
    ) -> None:
        self._core = _open(backends, None, threads, fallback, plugins, contract, pins=pins)

    @property
    def backends(self) -> list[str]:
        """The backends that are used."""
        return self._open().backends

    @property
    def threads(self) -> int:
        """How many threads kernels run on."""
        return self._open().threads

    def devices(self) -> list[dict[str, Any]]:
        """Every device of every provider, the CPU first, and what is in the way of using it."""
        return self._open().devices()

    def libraries(self) -> list[dict[str, Any]]:
        """Every provider library that was looked at, and what came of it in words."""
        return self._open().libraries()

    def load(self, model: str | os.PathLike[str] | bytes) -> InferenceSession:
        """Loads a model from a file or from bytes."""
        return InferenceSession._of(_load(self._open(), model))

    @contextmanager
    def backend(self, *names: str) -> Iterator[Runtime]:
        """Within the block, what this runtime loads runs on these backends (and the CPU for the rest).

        >>> with runtime.backend("cpu"):  # doctest: +SKIP
        ...     session = runtime.load("model.onnx")
        """
        before = self._open()
        self._core = before.with_backends(list(names))
        try:
            yield self
        finally:
            self._core = before


class InferenceSession(Holding[_core.Model]):
    """A loaded model. Runs may go on in many threads at once.

    `disabled_optimizers` names rewrites of the graph that are left out; `summary()["rewrites"]` tells which were made.
    """

    _name = "session"

    def __init__(
        self,
        path_or_bytes: str | os.PathLike[str] | bytes,
        providers: Any = None,
        provider_options: Sequence[Mapping[str, Any]] | None = None,
        sess_options: Any = None,
        *,
        fallback: Fallback | None = None,
        plugins: str | os.PathLike[str] | None = None,
        contract: Mapping[str, Any] | None = None,
        disabled_optimizers: Sequence[str] | None = None,
    ) -> None:
        if hasattr(providers, "intra_op_num_threads"):
            # ONNX Runtime's order, by position: options, providers, their options.
            sess_options, providers, provider_options = providers, provider_options, sess_options
        threads = getattr(sess_options, "intra_op_num_threads", None) or None
        runtime = _open(
            providers,
            provider_options,
            threads,
            fallback,
            plugins,
            contract,
            disabled_optimizers,
        )
        self._core = _load(runtime, path_or_bytes)

    @classmethod
    def _of(cls, model: _core.Model) -> InferenceSession:
        session = cls.__new__(cls)
        session._core = model
        return session

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, Any]) -> list[Any]:
        """Runs the model and gives the named outputs, or all of them, as numpy arrays.

        Sequences are lists, optionals `None` or what they hold. Without numpy, arrays are `remuda.Tensor`s.
        """
        return self._open().run(_names(output_names), dict(input_feed), _has_numpy())

    def run_tensors(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Any]
    ) -> list[Any]:
        """As `run`, but gives `remuda.Tensor`s: for DLPack, and without numpy."""
        return self._open().run(_names(output_names), dict(input_feed), False)

    def profile(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Any]
    ) -> tuple[list[Any], str]:
        """As `run`, and tells the time of each node: the text of a Chrome trace."""
        return self._open().profile(_names(output_names), dict(input_feed), _has_numpy())

    def get_inputs(self) -> list[_core.NodeArg]:
        """What runs must be given."""
        return self._open().inputs()

    def get_outputs(self) -> list[_core.NodeArg]:
        """What runs give."""
        return self._open().outputs()

    def get_providers(self) -> list[str]:
        """The backends that run this model, most preferred first."""
        parts = self.placement()["parts"]
        return list(dict.fromkeys(part["backend"] for part in parts)) or ["cpu"]

    def placement(self) -> dict[str, Any]:
        """Who runs which node, what that costs, and why nobody else does."""
        return self._open().placement()

    def last_receipt(self) -> dict[str, Any] | None:
        """What the run that ended last did: who ran what, what failed, what was copied."""
        return self._open().last_receipt()

    def graph_text(self, constants: bool = False) -> str:
        """The graph as text; with `constants` it holds every weight."""
        return self._open().graph_text(constants)

    def summary(self) -> dict[str, Any]:
        """What the model is, in numbers."""
        return self._open().summary()


def _open(
    backends: Sequence[Backend] | None,
    options: Sequence[Mapping[str, Any]] | None,
    threads: int | None,
    fallback: Fallback | None,
    plugins: str | os.PathLike[str] | None,
    contract: Mapping[str, Any] | None,
    disabled_optimizers: Sequence[str] | None = None,
    pins: Mapping[str, str] | None = None,
) -> _core.Runtime:
    names, own_threads, of_provider = names_and_options(backends, options)
    file = os.fspath(plugins) if plugins is not None else None
    demands: dict[str, Any] = dict(contract or {})
    if fallback is not None:
        demands.setdefault("fallback", fallback)
    # A file that is named says everything; without one, installed packages bring their libraries.
    packages = installed() if file is None else []
    if of_provider:
        # Options of a backend that is not there go with it.
        known = _core.Runtime(["cpu"], 1, file, packages=packages).backend_names()
        of_provider = {name: pairs for name, pairs in of_provider.items() if name in known}
    return _core.Runtime(
        None if backends is None else names,
        threads or own_threads,
        file,
        of_provider,
        demands,
        packages,
        without_rewrites=list(disabled_optimizers or ()),
        pins=dict(pins or {}),
    )


def _load(runtime: _core.Runtime, model: str | os.PathLike[str] | bytes) -> _core.Model:
    if isinstance(model, (bytes, bytearray, memoryview)):
        loaded = runtime.load_bytes(bytes(model))
    else:
        loaded = runtime.load(os.fspath(model))
    tell(loaded.placement_warnings(), 4)
    return loaded


def _names(names: Sequence[str] | None) -> list[str] | None:
    # An empty list means all outputs, as in ONNX Runtime.
    return list(names) if names else None


@cache
def _has_numpy() -> bool:
    return importlib.util.find_spec("numpy") is not None
