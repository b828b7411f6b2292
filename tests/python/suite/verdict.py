"""What can happen to a case, and how an exception is named.

A case that does not pass may only end in the runtime's typed refusal, and a refusal has to name what it
refuses: an operator, an attribute or a data type of the model. Everything else counts against the runtime,
with three exceptions where other values of the right type and shape did not pass and did no wrong: the expected output
of an operator that draws random numbers is one draw of numpy's generator, `corrected` knows the cases whose expected
output `onnx` itself replaced later, with the later output, and `noise` those whose expected values are rounding noise.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import onnx

from suite.collect import Case, CollectingRunner, Delegate
from suite.corrected import corrected_outputs, corrected_reason
from suite.engines import Engine
from suite.noise import noise_reason


class Verdict(StrEnum):
    PASS = "pass"
    UNSUPPORTED = "unsupported"
    RANDOM = "random"
    SUPERSEDED = "superseded"
    NOISE = "noise"
    WRONG = "wrong"
    ERROR = "error"
    CRASH = "crash"
    HANG = "hang"


DRAWING_OPERATORS = frozenset(
    [
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    ]
)
RANDOM_REASON = "the expected output is one draw of numpy's random generator"

FAULTS = (Verdict.WRONG, Verdict.ERROR, Verdict.CRASH, Verdict.HANG)


@dataclass
class Outcome:
    """The verdict on one case, with the first lines of what was raised."""

    name: str
    category: str
    verdict: Verdict
    reason: str = ""
    # How many nodes ran on which backend.
    nodes: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> Outcome:
        return Outcome(**{**value, "verdict": Verdict(value["verdict"])})


def judge(
    case: Case, engine: Engine, on_error: Callable[[Exception], None] = lambda error: None
) -> Outcome:
    """Runs `case` on `engine` in this process and names the result."""
    Delegate.prepare_model = engine.prepare
    Delegate.last_model = None
    try:
        case.check()
    except AssertionError as error:
        on_error(error)
        return _judge_difference(case, error)
    except Exception as error:
        on_error(error)
        return _judge_exception(case, engine, error)
    return Outcome(case.name, case.category, Verdict.PASS, nodes=engine.ran())


def _judge_difference(case: Case, error: AssertionError) -> Outcome:
    """Names a comparison that failed; only values may differ for a good reason, types and shapes never."""
    if str(error).lstrip().startswith("Not equal to tolerance"):
        if any(map(_draws, _nodes(Delegate.last_model))):
            return Outcome(case.name, case.category, Verdict.RANDOM, RANDOM_REASON)
        if noise := noise_reason(case.name, error):
            return Outcome(case.name, case.category, Verdict.NOISE, noise)
        if corrected := corrected_reason(case.name):
            return _judge_corrected(case, corrected)
    return Outcome(case.name, case.category, Verdict.WRONG, _summary(error))


def _judge_corrected(case: Case, reason: str) -> Outcome:
    """Holds what was compared last against what the later release expects, within the same tolerances."""
    outputs, rtol, atol = CollectingRunner.compared
    try:
        CollectingRunner.assert_similar_outputs(corrected_outputs(case.name), outputs, rtol, atol)
    except AssertionError as error:
        text = f"neither as expected here nor as later: {_summary(error)}"
        return Outcome(case.name, case.category, Verdict.WRONG, text)
    return Outcome(case.name, case.category, Verdict.SUPERSEDED, reason)


def _judge_exception(case: Case, engine: Engine, error: Exception) -> Outcome:
    reason = _summary(error)
    if not engine.refuses(error):
        return Outcome(case.name, case.category, Verdict.ERROR, reason)
    if engine.name == "remuda" and not _names_a_part(str(error), Delegate.last_model):
        reason = f"the refusal names no operator, attribute or data type of the model: {reason}"
        return Outcome(case.name, case.category, Verdict.ERROR, reason)
    return Outcome(case.name, case.category, Verdict.UNSUPPORTED, reason)


def _draws(node: onnx.NodeProto) -> bool:
    is_training_dropout = node.op_type == "Dropout" and len(node.input) == 3 and node.input[2] != ""
    return node.op_type in DRAWING_OPERATORS or is_training_dropout


def _summary(error: BaseException) -> str:
    text = " ".join("".join(traceback.format_exception_only(error)).split())
    return text if len(text) <= 600 else text[:597] + "..."


def _names_a_part(message: str, model: onnx.ModelProto | None) -> bool:
    parts = {name.lower() for name, number in onnx.TensorProto.DataType.items() if number}
    parts |= {"f16", "f32", "f64", "bf16"}
    parts |= {f"{sign}{bits}" for sign in "iu" for bits in (2, 4, 8, 16, 32, 64)}
    for node in _nodes(model):
        parts.add(node.op_type.lower())
        parts.update(attribute.name.lower() for attribute in node.attribute)
    words = message.lower().replace("`", " ").replace(",", " ").replace(":", " ").split()
    return any(word.strip("().'\"") in parts for word in words)


def _nodes(model: onnx.ModelProto | None) -> list[onnx.NodeProto]:
    found: list[onnx.NodeProto] = []
    if model is None:
        return found
    waiting = [model.graph.node, *(function.node for function in model.functions)]
    while waiting:
        for node in waiting.pop():
            found.append(node)
            for attribute in node.attribute:
                waiting.extend(graph.node for graph in [attribute.g, *attribute.graphs])
    return found
