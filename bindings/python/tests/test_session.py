"""Sessions: what they tell of a model, what they take, what they give, how they refuse."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import models
import numpy as np
import pytest
import remuda
from onnx import TensorProto, helper


@pytest.fixture(scope="module")
def add() -> remuda.InferenceSession:
    return remuda.InferenceSession(models.add())


def feed(count: int = 3) -> dict[str, np.ndarray]:
    return {"a": np.arange(count, dtype=np.float32), "b": np.full(count, 10, np.float32)}


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Runs code in an interpreter of its own."""
    here = os.path.dirname(__file__)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=env, timeout=60, capture_output=True, text=True)


def test_ports_have_names_types_and_shapes_as_in_onnxruntime() -> None:
    node = helper.make_node("SequenceConstruct", ["x", "x"], ["s"])
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.INT64, None)
    ports = [models.tensor("x", TensorProto.INT64, ["batch", 3, None])]
    session = remuda.InferenceSession(models.model([node], ports, [sequence]))
    [x], [s] = session.get_inputs(), session.get_outputs()
    assert (x.name, x.type, x.shape) == ("x", "tensor(int64)", ["batch", 3, None])
    assert (s.name, s.type, s.shape) == ("s", "seq(tensor(int64))", [])


def test_a_session_opens_a_path_and_bytes(tmp_path, add) -> None:
    path = tmp_path / "add.onnx"
    path.write_bytes(models.add())
    for source in (path, str(path), models.add(), bytearray(models.add())):
        [total] = remuda.InferenceSession(source).run(None, feed())
        np.testing.assert_array_equal(total, np.float32([10, 11, 12]))


def test_outputs_come_by_name_and_an_empty_list_means_all(add) -> None:
    for names in (None, [], ["sum"]):
        assert len(add.run(names, feed())) == 1
    [a, b] = add.run(["sum", "sum"], feed())
    np.testing.assert_array_equal(a, b)


def test_results_may_be_written_to_and_do_not_touch_the_input() -> None:
    session = remuda.InferenceSession(models.identity(TensorProto.FLOAT))
    x = np.zeros(4, np.float32)
    [y] = session.run(None, {"x": x})
    y += 1
    np.testing.assert_array_equal(x, np.zeros(4))
    [again] = session.run(None, {"x": x})
    np.testing.assert_array_equal(again, np.zeros(4))


def test_results_lie_in_the_runtime_s_memory_and_outlive_the_session() -> None:
    session = remuda.InferenceSession(models.add())
    [total] = session.run(None, feed(1000))
    assert not total.flags.owndata and type(total.base).__module__ == "remuda._core"
    assert total.flags.writeable and total.flags.aligned
    session.close()
    np.testing.assert_array_equal(total, np.arange(1000) + 10)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_results_are_not_copied() -> None:
    code = """
        import re, models, numpy as np, remuda
        session = remuda.InferenceSession(models.add())
        given = {"a": np.ones(1 << 24, np.float32), "b": np.ones(1 << 24, np.float32)}
        words = lambda name: int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
        before = words("VmRSS")
        [total] = session.run(None, given)
        assert total[-1] == 2
        print((words("VmHWM") - before) * 1024 / total.nbytes)
    """
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.5


def test_any_layout_and_byte_order_goes_in(add) -> None:
    grid = np.arange(12, dtype=np.float32).reshape(3, 4)
    odd = np.frombuffer(b"\0" + np.arange(3, dtype=np.float32).tobytes(), np.uint8)[1:].view("<f4")
    cases = [grid[:, 1], grid[0, ::-1], np.arange(3, dtype=">f4"), odd, [1, 2, 3], (1.0, 2.0, 3.0)]
    for case in cases:
        want = np.asarray(case, np.float32)
        [total] = add.run(None, {"a": case, "b": np.zeros(len(want), np.float32)})
        np.testing.assert_array_equal(total, want)
        assert total.dtype == np.dtype("=f4")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": np.zeros(3, np.float32)}, "input `b` is missing"),
        ({**feed(), "c": np.zeros(1, np.float32)}, "no input `c`"),
        ({"a": np.zeros(3), "b": feed()["b"]}, "input `a`: expected f32[n], got f64[3]"),
        ({"a": feed(2)["a"], "b": feed(3)["b"]}, "input `b`: expected f32[n], got f32[3]"),
        ({"a": np.zeros((1, 3), np.float32), "b": feed()["b"]}, "input `a`: expected f32[n]"),
        ({"a": "text", "b": feed()["b"]}, "input `a`"),
        ({"a": object(), "b": feed()["b"]}, "input `a`"),
        ({"a": None, "b": feed()["b"]}, "input `a`"),
    ],
)
def test_wrong_inputs_are_named(add, given, message) -> None:
    with pytest.raises(remuda.InputError) as caught:
        add.run(None, given)
    assert message in str(caught.value)


def test_an_unknown_output_is_named(add) -> None:
    with pytest.raises(remuda.InputError, match="no output `summ`.*did you mean `sum`"):
        add.run(["summ"], feed())


def test_errors_are_one_family_with_hints() -> None:
    with pytest.raises(remuda.ModelFormatError) as broken:
        remuda.InferenceSession(models.add()[:40])
    assert isinstance(broken.value, remuda.Error) and isinstance(broken.value, ValueError)
    node = helper.make_node("Twirl", ["x"], ["y"], domain="nobody")
    made = models.model([node], [models.tensor("x")], [models.tensor("y")])
    import onnx

    proto = onnx.load_from_string(made)
    proto.opset_import.append(helper.make_opsetid("nobody", 1))
    with pytest.raises(remuda.UnsupportedError, match="Twirl") as refused:
        remuda.InferenceSession(proto.SerializeToString())
    assert isinstance(refused.value, NotImplementedError)
    with pytest.raises(remuda.ResourceError) as missing:
        remuda.InferenceSession("no/such/file.onnx")
    assert isinstance(missing.value.__cause__, FileNotFoundError)
    assert remuda.OutOfMemory is remuda.ResourceError
    for error in (broken.value, refused.value, missing.value):
        copy = pickle.loads(pickle.dumps(error))
        assert str(copy) == str(error) and copy.hint == error.hint and error.code


def test_providers_go_by_our_names_and_by_onnxruntime_s() -> None:
    assert remuda.get_available_providers() == ["cpu"]
    for providers in (["cpu"], ["CPUExecutionProvider"], [("CPU", {"threads": 1})], ["auto"]):
        session = remuda.InferenceSession(models.add(), providers=providers)
        assert session.get_providers() == ["cpu"]
    wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    with pytest.warns(RuntimeWarning, match="`cuda` is not available"):
        remuda.InferenceSession(models.add(), providers=wanted)
    with pytest.raises(remuda.InputError, match="`cuda` is not available"):
        remuda.InferenceSession(models.add(), providers=wanted, fallback="error")
    with pytest.raises(remuda.InputError, match="did you mean `cpu`"):
        remuda.InferenceSession(models.add(), providers=["cpi"])
    with pytest.raises(remuda.InputError, match="no option `depth`"):
        remuda.InferenceSession(models.add(), ["cpu"], [{"depth": 3}])


def test_language_models_tell_of_backends_that_are_not_there() -> None:
    with pytest.warns(RuntimeWarning, match="`cuda` is not available"):
        remuda.Model("demo", ["cuda", "cpu"], n_ctx=64).close()
    with pytest.raises(remuda.InputError, match="did you mean `cuda`"):
        remuda.Model("demo", ["cudda"])


def test_options_of_sessions_also_come_in_onnxruntime_s_order() -> None:
    options = remuda.SessionOptions(intra_op_num_threads=1)
    for session in (
        remuda.InferenceSession(models.add(), options, ["cpu"]),
        remuda.InferenceSession(models.add(), ["cpu"], None, options),
    ):
        assert len(session.run(None, feed())) == 1


def test_a_runtime_loads_models_and_closes() -> None:
    with remuda.Runtime(backends=["cpu"], threads=2) as runtime:
        assert (runtime.backends, runtime.threads) == (["cpu"], 2)
        with runtime.load(models.add()) as session:
            assert len(session.run(None, feed())) == 1
        with pytest.raises(remuda.InputError, match="the session is closed"):
            session.run(None, feed())
        session.close()
    with pytest.raises(remuda.InputError, match="the runtime is closed"):
        runtime.load(models.add())


def test_threads_share_a_session(add) -> None:
    want = add.run(None, feed(500))[0]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: add.run(None, feed(500))[0], range(200)))
    assert all(np.array_equal(result, want) for result in results)


def test_a_run_lets_other_threads_go_on() -> None:
    """The endless run is ended only by what another thread does meanwhile."""
    # A shell that started this in the background may have had it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    session = remuda.InferenceSession(models.endless())
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        session.run(None, {"x": np.ones(1, np.float32)})
    timer.join()


def test_a_signal_ends_a_row_of_short_runs(add) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        while True:
            add.run(None, feed())
    timer.join()


def test_a_signal_that_raises_nothing_leaves_the_run_alone(add) -> None:
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        os.kill(os.getpid(), signal.SIGINT)
        assert len(add.run(None, feed())) == 1
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
def test_a_forked_child_is_told_to_load_again(add) -> None:
    code = """
        import os, sys
        import models, numpy as np, remuda
        session = remuda.InferenceSession(models.add())
        x = np.ones(3, np.float32)
        session.run(None, {"a": x, "b": x})
        if os.fork() == 0:
            try:
                session.run(None, {"a": x, "b": x})
            except remuda.InputError as error:
                assert "forked" in str(error)
                [y] = remuda.InferenceSession(models.add()).run(None, {"a": x, "b": x})
                os._exit(0 if y.sum() == 6 else 1)
            os._exit(2)
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    """
    assert python(code).returncode == 0


def test_a_profile_is_a_chrome_trace(add) -> None:
    import json

    outputs, trace = add.profile(None, feed())
    assert len(outputs) == 1
    assert {event["cat"] for event in json.loads(trace)["traceEvents"]} == {"Add"}


def test_a_rewrite_can_be_left_out() -> None:
    nodes = [helper.make_node("Sigmoid", ["x"], ["s"]), helper.make_node("Mul", ["x", "s"], ["y"])]
    model = models.model(nodes, [models.tensor("x")], [models.tensor("y")])
    whole = remuda.InferenceSession(model)
    plain = remuda.InferenceSession(model, disabled_optimizers=["fuse_swish"])
    assert whole.summary()["rewrites"] == {"fuse_swish": 1}
    assert plain.summary()["rewrites"] == {}
    value = np.array([-1, 0, 2], np.float32)
    np.testing.assert_allclose(
        whole.run(None, {"x": value})[0], plain.run(None, {"x": value})[0], rtol=1e-6
    )
    with pytest.raises(remuda.Error, match="did you mean `fuse_swish`"):
        remuda.InferenceSession(model, disabled_optimizers=["fuse_swisch"])


def test_a_model_describes_itself(add) -> None:
    assert add.summary()["operators"] == {"Add": 1}
    assert "Add" in add.graph_text()
    info = remuda.build_info()
    assert remuda.__version__ == info["version"] and info["newest_opset"] >= 24
