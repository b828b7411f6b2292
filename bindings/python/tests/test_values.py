"""Values of every kind, in and out: element types, texts, sequences, optionals, DLPack."""

from __future__ import annotations

import os
import subprocess
import sys

import ml_dtypes
import models
import numpy as np
import pytest
import remuda
from onnx import TensorProto, helper

PLAIN = {
    TensorProto.FLOAT: ("tensor(float)", np.float32),
    TensorProto.DOUBLE: ("tensor(double)", np.float64),
    TensorProto.FLOAT16: ("tensor(float16)", np.float16),
    TensorProto.INT8: ("tensor(int8)", np.int8),
    TensorProto.INT16: ("tensor(int16)", np.int16),
    TensorProto.INT32: ("tensor(int32)", np.int32),
    TensorProto.INT64: ("tensor(int64)", np.int64),
    TensorProto.UINT8: ("tensor(uint8)", np.uint8),
    TensorProto.UINT16: ("tensor(uint16)", np.uint16),
    TensorProto.UINT32: ("tensor(uint32)", np.uint32),
    TensorProto.UINT64: ("tensor(uint64)", np.uint64),
    TensorProto.BOOL: ("tensor(bool)", np.bool_),
    TensorProto.COMPLEX64: ("tensor(complex64)", np.complex64),
    TensorProto.COMPLEX128: ("tensor(complex128)", np.complex128),
    TensorProto.BFLOAT16: ("tensor(bfloat16)", ml_dtypes.bfloat16),
    TensorProto.FLOAT8E4M3FN: ("tensor(float8e4m3fn)", ml_dtypes.float8_e4m3fn),
    TensorProto.FLOAT8E4M3FNUZ: ("tensor(float8e4m3fnuz)", ml_dtypes.float8_e4m3fnuz),
    TensorProto.FLOAT8E5M2: ("tensor(float8e5m2)", ml_dtypes.float8_e5m2),
    TensorProto.FLOAT8E5M2FNUZ: ("tensor(float8e5m2fnuz)", ml_dtypes.float8_e5m2fnuz),
    TensorProto.INT4: ("tensor(int4)", ml_dtypes.int4),
    TensorProto.UINT4: ("tensor(uint4)", ml_dtypes.uint4),
    TensorProto.FLOAT4E2M1: ("tensor(float4e2m1)", ml_dtypes.float4_e2m1fn),
    # FLOAT6E2M3 and FLOAT6E3M2, which this release of onnx does not know.
    27: ("tensor(float6e2m3)", ml_dtypes.float6_e2m3fn),
    28: ("tensor(float6e3m2)", ml_dtypes.float6_e3m2fn),
}


@pytest.mark.parametrize(("dtype", "names"), PLAIN.items(), ids=lambda value: str(value))
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_every_element_type_goes_in_and_comes_out(dtype, names, shape) -> None:
    text, numpy_type = names
    session = remuda.InferenceSession(models.identity(dtype, shape))
    assert session.get_inputs()[0].type == text
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(numpy_type)
    [y] = session.run(None, {"x": x})
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("number", [27, 28])
def test_six_bit_floats_are_rounded_as_ml_dtypes_does(number) -> None:
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    there, back = (
        models.model(
            [helper.make_node("Cast", ["x"], ["y"], to=to)],
            [models.tensor("x", of, [x.size])],
            [models.tensor("y", to, [x.size])],
        )
        for of, to in ((TensorProto.FLOAT16, number), (number, TensorProto.FLOAT16))
    )
    [y] = remuda.InferenceSession(there).run(None, {"x": x})
    with np.errstate(invalid="ignore"):
        expected = x.astype(PLAIN[number][1])
    np.testing.assert_array_equal(y.view(np.uint8), expected.view(np.uint8))
    [again] = remuda.InferenceSession(back).run(None, {"x": y})
    np.testing.assert_array_equal(again, expected.astype(np.float16))


def test_negative_small_integers_keep_their_sign() -> None:
    session = remuda.InferenceSession(models.identity(TensorProto.INT4))
    x = np.array([-8, 7, -1], ml_dtypes.int4)
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], x)
    np.testing.assert_array_equal(session.run(None, {"x": x.astype(np.int8)})[0], x)


def test_bits_stand_for_types_that_numpy_lacks() -> None:
    session = remuda.InferenceSession(models.identity(TensorProto.BFLOAT16))
    x = np.array([1, -2], ml_dtypes.bfloat16)
    np.testing.assert_array_equal(session.run(None, {"x": x.view(np.uint16)})[0], x)


def test_a_boolean_that_is_neither_is_refused() -> None:
    session = remuda.InferenceSession(models.identity(TensorProto.BOOL))
    with pytest.raises(remuda.InputError):
        session.run(None, {"x": np.array([0, 2], np.uint8).view(np.bool_)})


def test_texts_are_object_arrays() -> None:
    session = remuda.InferenceSession(models.identity(TensorProto.STRING, [2, 1]))
    for x in (
        np.array([["a"], ["ü"]]),
        np.array([["a"], ["ü"]], object),
        np.array([[b"a"], ["ü".encode()]], object),
        [["a"], ["ü"]],
    ):
        [y] = session.run(None, {"x": x})
        assert y.dtype == object and y.tolist() == [["a"], ["ü"]]
    for wrong in (np.array([["a"], [3]], object), np.array([["a"], [b"\xff"]], object)):
        with pytest.raises(remuda.InputError, match="input `x`"):
            session.run(None, {"x": wrong})


def test_sequences_are_lists() -> None:
    node = helper.make_node("Identity", ["s"], ["t"])
    ports = [helper.make_tensor_sequence_value_info(name, TensorProto.FLOAT, None) for name in "st"]
    session = remuda.InferenceSession(models.model([node], ports[:1], ports[1:]))
    items = [np.ones(2, np.float32), np.zeros((1, 3), np.float32)]
    [back] = session.run(None, {"s": items})
    assert isinstance(back, list)
    for item, want in zip(back, items, strict=True):
        np.testing.assert_array_equal(item, want)
    with pytest.raises(remuda.InputError, match="expected a list"):
        session.run(None, {"s": items[0]})


def test_optionals_are_none_or_what_they_hold() -> None:
    inner = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n"])
    ports = [helper.make_value_info(name, helper.make_optional_type_proto(inner)) for name in "xy"]
    node = helper.make_node("Identity", ["x"], ["y"])
    session = remuda.InferenceSession(models.model([node], ports[:1], ports[1:]))
    assert session.run(None, {"x": None}) == [None]
    [y] = session.run(None, {"x": np.ones(2, np.float32)})
    np.testing.assert_array_equal(y, [1, 1])


def test_a_tensor_shares_the_memory_of_an_array_both_ways() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = remuda.Tensor(x)
    assert (tensor.shape, tensor.dtype, tensor.type) == ((2, 3), "f32", "tensor(float)")
    assert np.shares_memory(np.asarray(tensor), x)
    back = np.from_dlpack(tensor)
    assert np.shares_memory(back, x) and not back.flags.writeable
    del x, tensor
    np.testing.assert_array_equal(back, np.arange(6).reshape(2, 3))


class OnlyDlpack:
    """What torch and jax look like from here."""

    def __init__(self, array: np.ndarray, versioned: bool = True) -> None:
        self.array = array
        self.versioned = versioned

    def __dlpack__(self, **options):
        if options and not self.versioned:
            raise TypeError("an old producer takes no options")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("versioned", [True, False])
def test_whatever_has_dlpack_goes_in(versioned) -> None:
    x = np.arange(12, dtype=np.float64).reshape(3, 4)
    shared = remuda.Tensor(OnlyDlpack(x, versioned))
    assert np.shares_memory(np.asarray(shared), x)
    for view in (x.T, x[::2, 1:3], x[:0], x[1, 2]):
        tensor = remuda.Tensor(OnlyDlpack(np.asarray(view), versioned))
        assert tensor.tolist() == view.tolist()


@pytest.mark.parametrize("numpy_type", [np.bool_, np.int8, np.uint64, np.float16, np.complex64])
def test_dlpack_carries_element_types(numpy_type) -> None:
    x = np.array([0, 1, 1]).astype(numpy_type)
    back = np.from_dlpack(remuda.Tensor(OnlyDlpack(x)))
    assert back.dtype == x.dtype
    np.testing.assert_array_equal(back, x)


def test_unused_capsules_free_what_they_hold() -> None:
    tensor = remuda.Tensor(np.zeros(1000, np.float32))
    for version in (None, (1, 0)):
        for _ in range(100):
            tensor.__dlpack__(max_version=version)


def test_a_capsule_is_taken_once() -> None:
    capsule = np.arange(3.0).__dlpack__()

    class Stale:
        def __dlpack__(self, **_):
            return capsule

        def __dlpack_device__(self):
            return (1, 0)

    remuda.Tensor(Stale())
    with pytest.raises(remuda.InputError, match="no capsule"):
        remuda.Tensor(Stale())


def test_dlpack_of_another_device_is_refused() -> None:
    class OnGpu(OnlyDlpack):
        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(remuda.InputError, match="DLPack device 2"):
        remuda.Tensor(OnGpu(np.zeros(1)))


def test_tensors_without_numpy() -> None:
    tensor = remuda.Tensor.from_bytes("i16", [2, 1], b"\x01\0\xff\xff")
    assert tensor.tolist() == [[1], [-1]] and tensor.tobytes() == b"\x01\0\xff\xff"
    assert len(tensor) == 2 and tensor.nbytes == 4
    with pytest.raises(remuda.InputError):
        remuda.Tensor.from_bytes("i16", [3], b"\x01\0")
    with pytest.raises(remuda.InputError, match="`i17` is no element type"):
        remuda.Tensor.from_bytes("i17", [1], b"\x01\0")


def test_the_package_works_without_numpy(tmp_path) -> None:
    (tmp_path / "model.onnx").write_bytes(models.add())
    code = """
import sys
sys.modules["numpy"] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "numpy" else found(name, *rest)
import remuda
x = remuda.Tensor.from_bytes("f32", [1], b"\\0\\0\\x80?")
[y] = remuda.InferenceSession(sys.argv[1]).run(None, {"a": x, "b": x})
assert y.tolist() == [2.0], y
try:
    remuda.InferenceSession(sys.argv[1]).run(None, {"a": [1.0], "b": x})
except remuda.InputError as error:
    assert "numpy is not installed" in str(error), error
else:
    raise AssertionError("a list needs numpy")
"""
    command = [sys.executable, "-c", code, str(tmp_path / "model.onnx")]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=60)
    assert ended.returncode == 0, ended.stderr
