"""A GGUF file with its matrices in another type, rounded by ggml's own code: no llama.cpp is needed."""

from __future__ import annotations

import ctypes
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray

from .files import finish
from .quantised import copy_keys

Floats = NDArray[np.float32]


class Rounding:
    """What rounds rows to a type."""

    def __init__(self, folder: Path) -> None:
        self.library = ctypes.CDLL(str(folder / "libggml-base.so"))
        self.library.ggml_quantize_chunk.restype = ctypes.c_size_t
        self.library.ggml_quantize_chunk.argtypes = [
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_void_p,
            *[ctypes.c_int64] * 3,
            ctypes.c_void_p,
        ]

    def rows(self, matrix: Floats, kind: Type) -> NDArray[np.uint8]:
        """The rows of a matrix as bytes of the type."""
        matrix = np.ascontiguousarray(matrix, dtype=np.float32)
        count, width = matrix.shape
        values, size = gguf.GGML_QUANT_SIZES[kind]
        made = np.zeros((count, width // values * size), dtype=np.uint8)
        wrote = self.library.ggml_quantize_chunk(
            kind.value, matrix.ctypes.data, made.ctypes.data, 0, count, width, None
        )
        if wrote != made.nbytes:
            raise ValueError(f"expected {made.nbytes} bytes of {kind.name}, got {wrote}")
        return made


def requantise(source: Path, target: Path, kind: Type, rounding: Rounding) -> None:
    """Writes a file with its matrices in the type; vectors stay as they are."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    copy_keys(reader, writer)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        shape = tuple(int(size) for size in reversed(tensor.shape))
        values = np.ascontiguousarray(values).reshape(shape)
        if len(shape) == 1 or kind == Type.F32:
            writer.add_tensor(tensor.name, values)
        elif kind == Type.F16:
            writer.add_tensor(tensor.name, values.astype(np.float16))
        else:
            writer.add_tensor(tensor.name, rounding.rows(values, kind), raw_dtype=kind)
    finish(writer)
