"""Placement from Python: plans, receipts and failures over the fake provider, loaded as a library.

Needs `cargo build --release -p remuda-fake --example remuda_fake`; REMUDA_FAKE_LIBRARY names one elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import models
import numpy as np
import pytest
import remuda
from onnx import helper
from remuda import _core

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parents[3] / "target"))
LIBRARY = TARGET / "release" / "examples" / "libremuda_fake.so"


@pytest.fixture
def plugins(tmp_path) -> Path:
    library = Path(os.environ.get("REMUDA_FAKE_LIBRARY", LIBRARY))
    if not library.exists():
        pytest.skip(f"{library} is not built")
    file = tmp_path / "plugins.toml"
    file.write_text(f'[[provider]]\nlibrary = "{library}"\nisolation = "none"\n')
    return file


def chain() -> bytes:
    nodes = [
        helper.make_node("Neg", ["x"], ["a"], "first"),
        helper.make_node("Exp", ["a"], ["b"], "second"),
        helper.make_node("Abs", ["b"], ["y"], "third"),
    ]
    return models.model(nodes, [models.tensor("x")], [models.tensor("y")])


X = np.float32([0.0, 1.0, -1.0])


def run(session: remuda.InferenceSession) -> dict:
    [y] = session.run(None, {"x": X})
    np.testing.assert_allclose(y, np.exp(-X), rtol=1e-6)
    return session.last_receipt()


def test_a_plan_tells_who_and_why_and_a_receipt_what_happened(plugins) -> None:
    backends = [("fake", {"ops": "all,-Exp"}), "cpu"]
    session = remuda.Runtime(backends, plugins=plugins).load(chain())
    placement = session.placement()
    assert [part["backend"] for part in placement["parts"]] == ["fake:gpu", "cpu", "fake:gpu"]
    second = placement["nodes"]["second"]
    assert second["backend"] == "cpu"
    assert "does not take `Exp`" in second["why_not"]["fake:gpu"]
    assert session.last_receipt() is None
    receipt = run(session)
    assert receipt["plan"] == placement["plan"]
    assert receipt["moved"] == {"uploaded": 24, "downloaded": 24, "between": 0}
    assert session.get_providers() == ["fake:gpu", "cpu"]


def test_the_plans_that_the_first_run_compared_are_told(plugins) -> None:
    misled = {"devices": "gpu,npu", "gpu.cost": "*=1", "gpu.pace": "10", "npu.cost": "*=20000"}
    contract = {"policy": "cost", "fallback": "error"}
    runtime = _core.Runtime(["fake"], None, str(plugins), {"fake": misled}, contract)
    model = _core.LanguageModel(runtime, "demo")
    assert model.placement()["tried"] == []
    assert len(list(model.greedy([1, 2, 3], 2))) == 2
    placement = model.placement()
    kept = [trial["plan"] for trial in placement["tried"] if trial["kept"]]
    assert kept == [placement["plan"]] and len(placement["tried"]) > 1
    for trial in placement["tried"]:
        assert [of["class"] for of in trial["classes"]] == ["decode", "prefill"]
        assert all(of["measured_ns"] > 0 for of in trial["classes"])


def test_a_block_forces_a_backend(plugins) -> None:
    with remuda.Runtime(["fake:gpu", "cpu"], plugins=plugins) as runtime:
        with runtime.backend("cpu"):
            forced = runtime.load(chain())
        assert forced.get_providers() == ["cpu"]
        assert runtime.load(chain()).get_providers() == ["fake:gpu"]
        with pytest.raises(remuda.InputError, match="did you mean `fake`"), runtime.backend("fakr"):
            pass


def test_pins_are_kept_and_those_that_cannot_be_are_refused(plugins) -> None:
    backends = ["fake:gpu", "cpu"]
    runtime = remuda.Runtime(backends, plugins=plugins, pins={"second": "cpu"})
    session = runtime.load(chain())
    assert [part["backend"] for part in session.placement()["parts"]] == [
        "fake:gpu",
        "cpu",
        "fake:gpu",
    ]
    assert run(session)["failovers"] == []
    with pytest.raises(remuda.InputError, match="no node `thirds`, did you mean `third`"):
        remuda.Runtime(backends, plugins=plugins, pins={"thirds": "cpu"}).load(chain())
    with pytest.raises(remuda.InputError, match="`cuda` is none of the session's backends"):
        remuda.Runtime(backends, plugins=plugins, pins={"second": "cuda"}).load(chain())
    without = [("fake", {"ops": "all,-Exp"}), "cpu"]
    with pytest.raises(remuda.UnsupportedError, match="does not take `Exp`"):
        remuda.Runtime(without, plugins=plugins, pins={"second": "fake:gpu"}).load(chain())


def test_the_nodes_of_a_language_model_can_be_seen_and_pinned() -> None:
    with remuda.Model("demo", ["cpu"], pins={"blk.0.attn_q": "cpu"}) as model:
        placement = model.placement()
    assert {part["class"] for part in placement["parts"]} == {"decode", "prefill"}
    assert placement["nodes"]["blk.0.attn_q"]["backend"] == "cpu"
    with pytest.raises(remuda.InputError, match="no node `blk.9.attn_q`"):
        remuda.Model("demo", ["cpu"], pins={"blk.9.attn_q": "cpu"})


def test_a_lost_device_is_in_the_receipt(plugins) -> None:
    backends = [("fake", {"fail": "lost@2"}), "cpu"]
    session = remuda.InferenceSession(chain(), backends, plugins=plugins)
    assert run(session)["failovers"] == []
    receipt = run(session)
    assert [failover["code"] for failover in receipt["failovers"]] == ["device-lost"]
    assert receipt["parts"][0]["backend"] == "cpu"


def test_answers_tell_of_a_device_that_was_lost(plugins) -> None:
    def answer(fail: str) -> tuple[str, list, remuda._core.LanguageModel]:
        options = {"fake": {"fail": fail}}
        runtime = remuda._core.Runtime(["fake", "cpu"], None, str(plugins), options)
        model = remuda._core.LanguageModel(runtime, "demo", 64)
        made = model.answer(model.tokenize("Once upon"), {"max_tokens": 8, "seed": 1})
        text = "".join(piece[0] for piece in made)
        return text, made.outcome()["failovers"], model

    want, failovers, model = answer("lost@100000")
    assert failovers == model.failovers() == model.last_receipt()["failovers"] == []
    got, failovers, model = answer("lost@4")
    assert got == want
    [failed] = failovers
    assert (failed["backend"], failed["code"]) == ("fake:gpu", "device-lost")
    assert failed["went_on_with"] == ["cpu"]
    assert model.failovers() == failovers
    assert {part["backend"] for part in model.last_receipt()["parts"]} == {"cpu"}


def test_fallbacks_are_warnings_or_errors_as_asked(plugins) -> None:
    backends = [("fake", {"ops": "all,-Exp"})]
    with pytest.warns(RuntimeWarning, match="1 of 3 nodes fall back to the CPU"):
        remuda.InferenceSession(chain(), backends, plugins=plugins)
    with pytest.raises(remuda.PlacementError, match="does not take `Exp`"):
        remuda.InferenceSession(chain(), backends, plugins=plugins, fallback="error")
    with pytest.raises(remuda.PlacementError, match="3 parts, at most 1"):
        remuda.InferenceSession(chain(), backends, plugins=plugins, contract={"max_parts": 1})


def test_the_demands_of_the_file_hold_but_for_those_that_are_made_here(plugins) -> None:
    with plugins.open("a") as file:
        file.write('[contract]\nfallback = "error"\nmax_parts = 2\n')
    backends = [("fake", {"ops": "all,-Exp"})]

    def load(**demands) -> remuda.InferenceSession:
        return remuda.InferenceSession(chain(), backends, plugins=plugins, **demands)

    with pytest.raises(remuda.PlacementError, match="does not take `Exp`"):
        load()
    with pytest.raises(remuda.PlacementError, match="3 parts, at most 2"):
        load(fallback="allow")
    assert run(load(fallback="allow", contract={"max_parts": 3}))["failovers"] == []


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ({"max_part": 1}, "no `max_part`, expected one of: `fallback`, `require`"),
        ({"max_parts": -1}, "`max_parts` to be a whole number, got `-1`"),
        ({"max_cpu_share": 7}, "`max_cpu_share` is 7, expected 0 to 1"),
        ({"require": "fake"}, "`require` to be a list of names, got `fake`"),
        ({"fallback": "never"}, "`fallback` to be allow, warn or error, got `never`"),
    ],
)
def test_a_demand_that_makes_no_sense_is_refused(contract, message) -> None:
    with pytest.raises(remuda.InputError, match=message):
        remuda.Runtime(contract=contract)


def test_a_backend_that_is_not_there_is_left_out_and_told_of(plugins) -> None:
    with pytest.warns(RuntimeWarning, match="`cuda` is not available, only: auto, cpu, fake"):
        session = remuda.InferenceSession(chain(), ["cuda", "fake"], plugins=plugins)
    assert session.get_providers() == ["fake:gpu"]
    with pytest.raises(remuda.InputError, match="`cuda` is not available"):
        remuda.Runtime(["cuda", "fake"], plugins=plugins, fallback="error")
