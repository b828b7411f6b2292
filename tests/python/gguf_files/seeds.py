"""Writes the seeds of the fuzz target `gguf`: small files with every kind of value and tensor."""

import tempfile
from pathlib import Path

import gguf
import numpy as np

TARGET = Path(__file__).parents[3] / "tests/fuzz/seeds/gguf"


def seed(name: str, *, tensors: bool, arrays: bool, alignment: int = 0, parts: int = 0) -> None:
    """One file, or the parts of one."""
    with tempfile.TemporaryDirectory() as folder:
        writer = gguf.GGUFWriter(Path(folder) / "m.gguf", "llama", split_max_tensors=parts)
        if alignment:
            writer.add_custom_alignment(alignment)
        for at, kind in enumerate(gguf.GGUFValueType):
            if kind not in (gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.STRING):
                writer.add_key_value(f"k{at}", at % 2, kind)
        if arrays:
            writer.add_array("texts", ["a", "bc", ""])
            writer.add_array("numbers", [1, 2, 3])
            writer.add_array("nested", [[1, 2], [3]])
            writer.add_array("flags", [True, False])
        if tensors:
            writer.add_tensor("f32", np.ones((2, 2), dtype=np.float32))
            writer.add_tensor("f16", np.ones((1, 3, 1, 2), dtype=np.float16))
            for kind in (gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.MXFP4):
                size = gguf.GGML_QUANT_SIZES[kind][1]
                writer.add_tensor(kind.name, np.zeros((2, size), dtype=np.uint8), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        for number, path in enumerate(sorted(Path(folder).glob("*.gguf"))):
            (TARGET / f"{name}-{number}").write_bytes(path.read_bytes())


if __name__ == "__main__":
    TARGET.mkdir(parents=True, exist_ok=True)
    seed("empty", tensors=False, arrays=False)
    seed("arrays", tensors=False, arrays=True)
    seed("tensors", tensors=True, arrays=False)
    seed("aligned", tensors=True, arrays=True, alignment=1)
    seed("parts", tensors=True, arrays=False, parts=3)
