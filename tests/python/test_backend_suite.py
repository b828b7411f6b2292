"""The suite's harness itself: a crash, a hang, a wrong answer and a nameless refusal are each told apart."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from suite import corrected, engines, pool, report, support
from suite.collect import Case, CollectingRunner, Delegate, collect
from suite.corrected import CORRECTED_LATER, corrected_outputs
from suite.verdict import Outcome, Verdict, judge

LIMITS = pool.Limits(deadline_s=0.5, memory_bytes=16 * 2**30)


class Refusal(Exception):
    pass


class Prepared:
    def __init__(self, behaviour):
        self.behaviour = behaviour

    def run(self, inputs):
        return self.behaviour(*inputs)


def model_of(operator: str, **attributes: object) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    node = helper.make_node(operator, ["x"], ["y"], **attributes)
    graph = helper.make_graph([node], "g", [value], [helper.make_value_info("y", value.type)])
    return helper.make_model(graph)


def engine_that(behaviour) -> engines.Engine:
    return engines.Engine(
        name="remuda",
        version="0",
        prepare=lambda model: Prepared(behaviour),
        refuses=lambda error: isinstance(error, Refusal),
    )


def case_of(name: str, operator: str, expected: np.ndarray) -> Case:
    model = model_of(operator)

    def check() -> None:
        outputs = Delegate.prepare(model).run([np.array([-1.0, 2.0], np.float32)])
        CollectingRunner.assert_similar_outputs([expected], outputs, rtol=1e-3, atol=1e-7)

    return Case(name, "Node", check)


RELU = np.array([0.0, 2.0], np.float32)


def raising(error: Exception):
    def behaviour(x):
        raise error

    return behaviour


@pytest.mark.parametrize(
    ("operator", "behaviour", "verdict"),
    [
        ("Relu", lambda x: [np.maximum(x, 0)], Verdict.PASS),
        ("Relu", lambda x: [x], Verdict.WRONG),
        ("Relu", lambda x: [np.maximum(x, 0).astype(np.float64)], Verdict.WRONG),
        ("Relu", lambda x: [np.maximum(x, 0)[:1]], Verdict.WRONG),
        ("Relu", lambda x: [], Verdict.WRONG),
        ("Relu", raising(Refusal("operator `Relu` is not there")), Verdict.UNSUPPORTED),
        ("Relu", raising(Refusal("this is not there")), Verdict.ERROR),
        ("Relu", raising(RuntimeError("operator `Relu` broke")), Verdict.ERROR),
        ("Bernoulli", lambda x: [1 - x], Verdict.RANDOM),
        ("Bernoulli", lambda x: [x[:1]], Verdict.WRONG),
    ],
)
def test_a_case_gets_the_verdict_it_earned(operator, behaviour, verdict):
    assert judge(case_of("c", operator, RELU), engine_that(behaviour)).verdict == verdict


def test_a_case_that_onnx_corrected_later_may_have_the_later_values_alone(monkeypatch):
    monkeypatch.setitem(CORRECTED_LATER, onnx.__version__, {"c": "why"})
    monkeypatch.setattr(corrected, "_recorded", lambda: {"c/0": np.float32([-1.0, 2.0])})
    case = case_of("c", "Relu", RELU)
    outcome = judge(case, engine_that(lambda x: [x]))
    assert (outcome.verdict, outcome.reason) == (Verdict.SUPERSEDED, "why")
    assert judge(case, engine_that(lambda x: [x + 1])).verdict == Verdict.WRONG
    assert judge(case, engine_that(lambda x: [x[:1]])).verdict == Verdict.WRONG


def test_every_corrected_case_exists(tmp_path: Path):
    names = {case.name for case in collect(tmp_path)}
    assert set(CORRECTED_LATER.get(onnx.__version__, {})) <= names


def test_every_corrected_case_has_its_later_outputs():
    names = [name for cases in CORRECTED_LATER.values() for name in cases]
    assert names
    assert all(corrected_outputs(name) for name in names)


def test_a_sequence_that_is_too_short_is_wrong():
    def check():
        outputs = Delegate.prepare(model_of("Relu")).run([RELU])
        CollectingRunner.assert_similar_outputs([[RELU, RELU]], outputs, rtol=1e-3, atol=1e-7)

    outcome = judge(Case("c", "Node", check), engine_that(lambda x: [[x]]))
    assert outcome.verdict == Verdict.WRONG


def test_scalars_in_a_sequence_are_compared():
    def check():
        outputs = Delegate.prepare(model_of("Relu")).run([RELU])
        CollectingRunner.assert_similar_outputs([[np.float32(1)]], outputs, rtol=1e-3, atol=1e-7)

    assert (
        judge(Case("c", "Node", check), engine_that(lambda x: [[np.float32(1)]])).verdict == "pass"
    )
    assert (
        judge(Case("c", "Node", check), engine_that(lambda x: [[np.float32(2)]])).verdict == "wrong"
    )


def test_a_crash_and_a_hang_cost_one_case_each(monkeypatch):
    behaviours = {"good": lambda x: [np.maximum(x, 0)], "crash": None, "hang": None}
    behaviours["crash"] = lambda x: os.write(2, b"last words\n") and os.abort()
    behaviours["hang"] = lambda x: time.sleep(600)
    order = ["good", "crash", "good", "hang", "good"]

    def check_of(kind: str):
        def check() -> None:
            outputs = behaviours[kind](np.array([-1.0, 2.0], np.float32))
            CollectingRunner.assert_similar_outputs([RELU], outputs, rtol=1e-3, atol=1e-7)

        return check

    cases = [Case(f"{kind}{i}", "Node", check_of(kind)) for i, kind in enumerate(order)]
    monkeypatch.setattr(engines, "load", lambda name: engine_that(None))
    monkeypatch.setattr(pool, "IMPORT_ALLOWANCE_S", 0.0)
    outcomes = pool.run_all(cases, "remuda", 2, LIMITS, lambda outcome: None)
    assert [outcome.verdict for outcome in outcomes] == ["pass", "crash", "pass", "hang", "pass"]
    assert "SIGABRT" in outcomes[1].reason
    assert "last words" in outcomes[1].reason


def result_of(passes: int, wrong: int = 0, cases: int = 1764) -> report.Result:
    verdicts = [Verdict.PASS] * passes + [Verdict.WRONG] * wrong
    verdicts += [Verdict.UNSUPPORTED] * (cases - len(verdicts))
    outcomes = [Outcome(f"c{i}", "Node", verdict, "r") for i, verdict in enumerate(verdicts)]
    return report.Result("remuda", "0", "1.19.1", outcomes)


def test_a_result_is_judged_by_passes_faults_and_the_number_of_cases():
    assert result_of(1680).complaints() == []
    assert "1679" in result_of(1679).complaints()[0]
    assert "`wrong`" in result_of(1700, wrong=1).complaints()[0]
    assert "1764" in result_of(1700, cases=1763).complaints()[0]


def test_the_support_page_is_the_same_after_storing_and_loading(tmp_path: Path):
    result = result_of(1700)
    result.save(tmp_path)
    assert report.support_page(report.load_results(tmp_path, "remuda")) == report.support_page(
        [result]
    )


def test_the_page_of_providers_holds_one_section_for_each_and_a_table_of_all():
    result = result_of(1700, wrong=1)
    reason = "no provider supports node `y` (Relu): `wgpu`: dtype-unsupported it takes no f64"
    result.outcomes[-1].reason = reason
    page = support.PAGE_HEAD
    for backends, alone in [("wgpu,cpu", True), ("ggml:cpu,cpu", False), ("wgpu,cpu", True)]:
        page = support.with_section(page, result, backends, alone)
    assert page.count("## `wgpu`, onnx 1.19.1, alone") == 1
    assert "* dtype-unsupported, Relu (1): `c1763`" in page
    table = page.split("<!-- begin: overview -->")[1].split("<!-- end: overview -->")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.strip().split("\n")]
    assert rows[2][:8] == ["`ggml:cpu`", "1.19.1", "with the CPU", "1764", "1700", "63", "0", "1"]
    assert [row[0] for row in rows[2:]] == ["`ggml:cpu`", "`wgpu`"]
