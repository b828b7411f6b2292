"""The cases of the installed `onnx` package, each as a function that runs and compares as the suite itself does.

ONNX's own `Runner` builds the functions: loading, data sets, tolerances and comparison are its code, so a pass
here is a pass there. The last step, wrapping them as `unittest` methods per device, is replaced: that wrapper
counts a case that the backend declines as passed. Sequences are compared more strictly, see below.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend
from onnx.backend.test.runner import Runner

CATEGORIES = ("Node", "Simple", "PyTorchConverted", "PyTorchOperator", "Real")


@dataclass
class Case:
    """One case: where the suite files it, and the function that raises unless the runtime gets it right."""

    name: str
    category: str
    check: Callable[[], None]


class NoComparison(Exception):
    """A case ended without comparing anything, so it shows nothing."""


class Delegate(Backend):
    """The backend the suite is built with; the real one is chosen later, in the worker process."""

    prepare_model: Callable[[onnx.ModelProto], Any] | None = None
    last_model: onnx.ModelProto | None = None

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> Any:
        assert cls.prepare_model is not None, "`Delegate.prepare_model` is set before a case runs"
        cls.last_model = model
        return cls.prepare_model(model)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"


class CollectingRunner(Runner):
    """ONNX's runner, keeping each test function as it is instead of hiding it in a `unittest` class."""

    comparisons = 0
    # What was compared last: outputs, and the relative and absolute tolerance.
    compared: tuple[Sequence[Any], float, float] = ((), 0.0, 0.0)

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        super().__init__(Delegate)

    def _add_test(
        self, category: str, test_name: str, test_func: Callable[..., None], *_: Any, **kwargs: Any
    ) -> None:
        if test_name in self.cases:
            raise ValueError(f"two cases are called `{test_name}`")

        def check() -> None:
            before = CollectingRunner.comparisons
            test_func(None, "CPU", **kwargs)
            if CollectingRunner.comparisons == before:
                raise NoComparison("the case has no data set to compare with")

        self.cases[test_name] = Case(test_name, category.removesuffix("Model"), check)

    @classmethod
    def assert_similar_outputs(
        cls,
        ref_outputs: Sequence[Any],
        outputs: Sequence[Any],
        rtol: float,
        atol: float,
        model_dir: str | None = None,
    ) -> None:
        """The suite's comparison, but a sequence is compared element by element.

        The suite walks into the rows of each element instead, which it cannot do for a scalar, and takes a
        sequence that is too short for a match.
        """
        CollectingRunner.comparisons += 1
        CollectingRunner.compared = (outputs, rtol, atol)
        np.testing.assert_equal(len(outputs), len(ref_outputs))
        for output, reference in zip(outputs, ref_outputs):
            if isinstance(output, (list, tuple)) and isinstance(reference, (list, tuple)):
                cls.assert_similar_outputs(reference, output, rtol, atol, model_dir)
            else:
                super().assert_similar_outputs([reference], [output], rtol, atol, model_dir)


def collect(scratch: Path) -> list[Case]:
    """All cases in the suite's order of names; files that the suite generates go under `scratch`."""
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ["ONNX_MODELS"] = str(scratch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = CollectingRunner().cases
    return sorted(cases.values(), key=lambda case: (CATEGORIES.index(case.category), case.name))
