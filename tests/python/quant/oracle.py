"""What block formats mean to others: gguf-py's numpy code, and ggml's own C where a library is given.

gguf-py knows every format that files hold but encodes only some. The C reference encodes more; set
`REMUDA_TEST_GGML` to a shared library that exports `quantize_row_*_ref` and `dequantize_row_*`
(`libggml-base.so`, built without contraction of floating-point operations).
"""

import ctypes
import os
from dataclasses import dataclass

import numpy as np
from gguf import GGMLQuantizationType, quants


@dataclass(frozen=True)
class Format:
    """One format: sizes, and where its half-float scales lie."""

    name: str
    elements: int
    bytes: int
    halves: tuple[int, ...] = ()

    @property
    def type(self) -> GGMLQuantizationType | None:
        """gguf-py's name of it, if it has one."""
        return GGMLQuantizationType.__members__.get(self.name.upper())

    @property
    def encodes(self) -> bool:
        """Whether the crate encodes it: not those that search a codebook of vectors."""
        return not self.name.startswith(("iq1", "iq2", "iq3"))

    @property
    def symbol(self) -> str:
        """The name in ggml's functions."""
        return self.name[:-1] + "K" if self.name.endswith("_k") else self.name


FORMATS = [
    Format("iq1_m", 256, 56),
    Format("iq1_s", 256, 50, (0,)),
    Format("iq2_s", 256, 82, (0,)),
    Format("iq2_xs", 256, 74, (0,)),
    Format("iq2_xxs", 256, 66, (0,)),
    Format("iq3_s", 256, 110, (0,)),
    Format("iq3_xxs", 256, 98, (0,)),
    Format("iq4_nl", 32, 18, (0,)),
    Format("iq4_xs", 256, 136, (0,)),
    Format("mxfp4", 32, 17),
    Format("nvfp4", 64, 36),
    Format("q1_0", 128, 18, (0,)),
    Format("q2_0", 64, 18, (0,)),
    Format("q2_k", 256, 84, (80, 82)),
    Format("q3_k", 256, 110, (108,)),
    Format("q4_0", 32, 18, (0,)),
    Format("q4_1", 32, 20, (0, 2)),
    Format("q4_k", 256, 144, (0, 2)),
    Format("q5_0", 32, 22, (0,)),
    Format("q5_1", 32, 24, (0, 2)),
    Format("q5_k", 256, 176, (0, 2)),
    Format("q6_k", 256, 210, (208,)),
    Format("q8_0", 32, 34, (0,)),
    Format("q8_1", 32, 36, (0, 2)),
    Format("q8_k", 256, 292),
    Format("tq1_0", 256, 54, (52,)),
    Format("tq2_0", 256, 66, (64,)),
]


def _library() -> ctypes.CDLL | None:
    path = os.environ.get("REMUDA_TEST_GGML")
    return ctypes.CDLL(path) if path else None


LIBRARY = _library()


def _call(symbol: str, data: np.ndarray, out: np.ndarray, elements: int) -> np.ndarray | None:
    if LIBRARY is None or not hasattr(LIBRARY, symbol):
        return None
    getattr(LIBRARY, symbol)(
        data.ctypes.data_as(ctypes.c_void_p),
        out.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_int64(elements),
    )
    return out


def decoders(fmt: Format, blocks: np.ndarray) -> dict[str, np.ndarray]:
    """The values of `blocks` (one row per block) according to each oracle."""
    found = {}
    count = blocks.shape[0] * fmt.elements
    with np.errstate(all="ignore"):
        if fmt.name == "q8_1":
            scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
            found["arithmetic"] = (scale * blocks[:, 4:].view(np.int8)).reshape(-1)
        elif fmt.type in quants._type_traits:
            found["gguf-py"] = quants.dequantize(blocks, fmt.type).reshape(-1)
    out = np.zeros(count, dtype=np.float32)
    if (got := _call(f"dequantize_row_{fmt.symbol}", blocks, out, count)) is not None:
        found["ggml"] = got
    return found


def encoders(fmt: Format, values: np.ndarray) -> dict[str, np.ndarray]:
    """The blocks of `values` (one dimension) according to each oracle."""
    if not fmt.encodes:
        return {}
    found = {}
    if fmt.type in quants._type_traits and fmt.name != "nvfp4":
        try:
            with np.errstate(all="ignore"):
                found["gguf-py"] = quants.quantize(values, fmt.type).reshape(-1)
        except NotImplementedError:
            pass
    out = np.zeros(values.size // fmt.elements * fmt.bytes, dtype=np.uint8)
    if (got := _call(f"quantize_row_{fmt.symbol}_ref", values, out, values.size)) is not None:
        found["ggml"] = got
    return found


def random_blocks(fmt: Format, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random blocks; in all but the last quarter the half-float scales are ordinary numbers."""
    blocks = rng.integers(0, 256, (count, fmt.bytes), dtype=np.uint8)
    tame = slice(0, max(1, count * 3 // 4))
    for at in fmt.halves:
        scales = rng.normal(0, 0.1, (count, 1)).astype(np.float16)
        blocks[tame, at : at + 2] = scales.view(np.uint8)[tame]
    if fmt.name == "q8_k":
        scales = rng.normal(0, 0.1, (count, 1)).astype(np.float32)
        blocks[tame, :4] = scales.view(np.uint8)[tame]
    return blocks


def infinite_block(fmt: Format, rng: np.random.Generator) -> np.ndarray:
    """A random block whose first scale is infinite."""
    block = rng.integers(0, 256, (1, fmt.bytes), dtype=np.uint8)
    if fmt.halves:
        block[0, fmt.halves[0] : fmt.halves[0] + 2] = (0x00, 0x7C)
    if fmt.name == "q8_k":
        block[0, :4] = (0x00, 0x00, 0x80, 0x7F)
    if fmt.name == "mxfp4":
        block[0, 0] = 0xFF
    return block


def steps(count: int, kind: int, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers to be scaled and encoded: bell-shaped, with outliers, all zero, all positive,
    or few levels (many ties)."""
    match kind % 5:
        case 0:
            found = rng.normal(0, 4096, count)
        case 1:
            found = rng.standard_t(2, count) * 2000
        case 2:
            found = np.zeros(count)
        case 3:
            found = np.abs(rng.normal(9000, 2000, count))
        case _:
            found = rng.integers(-4, 5, count) * 1024
    return np.clip(np.rint(found), -32768, 32767).astype(np.int16)
