"""Passes the element types that numpy lacks (bfloat16, float8, 4-bit and smaller) in and out of ONNX Runtime.

Its Python interface knows numpy's own types only; the others travel as raw bytes of an `OrtValue`, here from and to
`ml_dtypes` arrays. Without this, ONNX Runtime would fail a tenth of the suite for reasons of its wrapper alone.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.helper import np_dtype_to_tensor_dtype, tensor_dtype_to_np_dtype

BITS = {"int2": 2, "uint2": 2, "int4": 4, "uint4": 4, "float4_e2m1fn": 4}


def is_foreign(dtype: np.dtype) -> bool:
    """Whether the type comes from `ml_dtypes` rather than numpy."""
    return dtype.kind == "V" or dtype.name in BITS or dtype.name.startswith(("bfloat", "float8"))


def run(session: onnxruntime.InferenceSession, feeds: dict[str, Any]) -> list[Any]:
    """`session.run(None, feeds)` for arrays of any ONNX element type."""
    exotic = [element_type(value.type) for value in session.get_outputs()]
    values = {name: _to_ort(value) for name, value in feeds.items()}
    if not any(kind is not None and is_foreign(tensor_dtype_to_np_dtype(kind)) for kind in exotic):
        return [_as_array(value) for value in session.run(None, values)]
    wrapped = {
        name: onnxruntime.OrtValue.ortvalue_from_numpy(value)
        if isinstance(value, np.ndarray)
        else value
        for name, value in values.items()
    }
    return [_from_ort(value) for value in session.run_with_ort_values(None, wrapped)]


def element_type(declared: str) -> int | None:
    """The ONNX number of a type that ONNX Runtime writes as `tensor(float)`; None if it is no tensor."""
    if not declared.startswith("tensor("):
        return None
    return getattr(
        onnx.TensorProto, declared.removeprefix("tensor(").removesuffix(")").upper(), None
    )


def _to_ort(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or not is_foreign(value.dtype):
        return value
    kind = np_dtype_to_tensor_dtype(value.dtype)
    result = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(value.shape), int(kind))
    raw = _pack(value)
    ctypes.memmove(result.data_ptr(), raw, len(raw))
    return result


def _from_ort(value: onnxruntime.OrtValue) -> Any:
    dtype = tensor_dtype_to_np_dtype(value.element_type())
    if not is_foreign(dtype):
        return value.numpy()
    size = int(np.prod(value.shape(), dtype=np.int64))
    byte_count = -(-size * BITS.get(dtype.name, dtype.itemsize * 8) // 8)
    raw = ctypes.string_at(value.data_ptr(), byte_count)
    return _unpack(raw, dtype, size).reshape(value.shape())


def _pack(value: np.ndarray) -> bytes:
    bits = BITS.get(value.dtype.name)
    if bits is None:
        return np.ascontiguousarray(value).tobytes()
    per_byte = 8 // bits
    codes = np.ascontiguousarray(value).view(np.uint8).ravel() & (2**bits - 1)
    codes = np.pad(codes, (0, -len(codes) % per_byte)).reshape(-1, per_byte)
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    return np.bitwise_or.reduce(codes << shifts, axis=1).astype(np.uint8).tobytes()


def _unpack(raw: bytes, dtype: np.dtype, size: int) -> np.ndarray:
    bits = BITS.get(dtype.name)
    if bits is None:
        return np.frombuffer(raw, dtype)
    packed = np.frombuffer(raw, np.uint8)
    shifts = np.arange(8 // bits, dtype=np.uint8) * bits
    codes = ((packed[:, None] >> shifts) & (2**bits - 1)).ravel()[:size].astype(np.uint8)
    if dtype.name.startswith("int"):
        sign = np.uint8(1 << (bits - 1))
        codes = (codes ^ sign) - sign
    return codes.view(dtype)


def _as_array(value: Any) -> Any:
    """ONNX Runtime returns strings of rank 0 as `str`; the suite compares arrays."""
    return (
        value if isinstance(value, (list, dict, np.ndarray)) or value is None else np.asarray(value)
    )
