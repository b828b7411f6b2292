"""Files that gguf-py writes are read by the crate, and the other way round.

`cargo build -p remuda-gguf --example gguf_text` first; `REMUDA_TEST_TARGET` names the target
folder. `REMUDA_TEST_GGUF` may name a folder of real files to read and copy as well.
"""

import os
import struct
import subprocess
from pathlib import Path

import pytest

gguf = pytest.importorskip("gguf")
np = pytest.importorskip("numpy")

ROOT = Path(__file__).parents[3]
TARGET = Path(os.environ.get("REMUDA_TEST_TARGET", ROOT / "target"))
PROGRAM = TARGET / "debug/examples/gguf_text"
if not PROGRAM.exists():
    reason = f"{PROGRAM} is not built: cargo build -p remuda-gguf --example gguf_text"
    pytest.skip(reason, allow_module_level=True)

NAMES = {
    gguf.GGUFValueType.UINT8: "u8",
    gguf.GGUFValueType.INT8: "i8",
    gguf.GGUFValueType.UINT16: "u16",
    gguf.GGUFValueType.INT16: "i16",
    gguf.GGUFValueType.UINT32: "u32",
    gguf.GGUFValueType.INT32: "i32",
    gguf.GGUFValueType.FLOAT32: "f32",
    gguf.GGUFValueType.BOOL: "bool",
    gguf.GGUFValueType.STRING: "string",
    gguf.GGUFValueType.UINT64: "u64",
    gguf.GGUFValueType.INT64: "i64",
    gguf.GGUFValueType.FLOAT64: "f64",
}
BLOCK_TYPES = [
    gguf.GGMLQuantizationType.Q4_0,
    gguf.GGMLQuantizationType.Q8_0,
    gguf.GGMLQuantizationType.Q4_K,
    gguf.GGMLQuantizationType.Q6_K,
    gguf.GGMLQuantizationType.IQ2_XXS,
    gguf.GGMLQuantizationType.IQ1_M,
    gguf.GGMLQuantizationType.TQ1_0,
    gguf.GGMLQuantizationType.MXFP4,
    gguf.GGMLQuantizationType.NVFP4,
]


def call(*words: object) -> subprocess.CompletedProcess:
    """One run of the crate's program."""
    return subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True)


def ours(*paths: Path) -> list[str]:
    """What the crate reads, as lines."""
    done = call("dump", *paths)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def scalar(value: object, kind: gguf.GGUFValueType) -> str:
    """A value as the crate's program shows it."""
    match kind:
        case gguf.GGUFValueType.FLOAT32:
            text = struct.pack(">f", value).hex()
        case gguf.GGUFValueType.FLOAT64:
            text = struct.pack(">d", value).hex()
        case gguf.GGUFValueType.STRING:
            text = value.encode().hex()
        case _:
            text = str(int(value))
    return f"{NAMES[kind]}:{text}"


def field_line(field: object) -> str:
    """One metadata entry of gguf-py."""
    value = field.contents()
    if field.types[0] == gguf.GGUFValueType.ARRAY:
        elements = ",".join(scalar(item, field.types[-1]) for item in value)
        shown = f"array:[{elements}]"
    else:
        shown = scalar(value, field.types[0])
    return f"key\t{field.name}\t{shown}"


def theirs(*paths: Path) -> list[str]:
    """What gguf-py reads, as the same lines."""
    readers = [gguf.GGUFReader(path) for path in paths]
    fields = readers[0].fields.values()
    lines = [field_line(field) for field in fields if not field.name.startswith("GGUF.")]
    for part, reader in enumerate(readers):
        for tensor in reader.tensors:
            shape = [int(dim) for dim in reversed(tensor.shape)]
            name = tensor.tensor_type.name.lower()
            data = tensor.data.tobytes().hex()
            lines.append(f"tensor\t{tensor.name}\t{part}\t{name}\t{shape}\t{data}")
    return lines


def fill(writer: gguf.GGUFWriter) -> None:
    """Every kind of value and many kinds of tensor."""
    rng = np.random.default_rng(3)
    writer.add_uint8("u8", 255)
    writer.add_int8("i8", -128)
    writer.add_uint16("u16", 65535)
    writer.add_int16("i16", -32768)
    writer.add_uint32("u32", 2**32 - 1)
    writer.add_int32("i32", -(2**31))
    writer.add_float32("f32", 1.1)
    writer.add_uint64("u64", 2**64 - 1)
    writer.add_int64("i64", -(2**63))
    writer.add_float64("f64", -1.1)
    writer.add_bool("yes", True)
    writer.add_string("general.name", "Жар-птица 🐎\n\t\0")
    writer.add_array("tokenizer.ggml.tokens", [f"▁token{at}" for at in range(2000)])
    writer.add_array("tokenizer.ggml.scores", [float(at) / 3 for at in range(2000)])
    writer.add_array("flags", [True, False, True])
    writer.add_key_value(
        "bytes", list(range(256)), gguf.GGUFValueType.ARRAY, sub_type=gguf.GGUFValueType.UINT8
    )
    for dtype in (np.float32, np.float16, np.float64, np.int8, np.int16, np.int32, np.int64):
        writer.add_tensor(
            f"plain.{np.dtype(dtype).name}", rng.integers(-9, 9, (3, 5)).astype(dtype)
        )
    writer.add_tensor("cube", rng.normal(size=(2, 3, 4, 5)).astype(np.float32))
    for kind in BLOCK_TYPES:
        _, size = gguf.GGML_QUANT_SIZES[kind]
        data = rng.integers(0, 256, (3, 2 * size), dtype=np.uint8)
        writer.add_tensor(f"block.{kind.name}", data, raw_dtype=kind)


def written(path: Path, **options: object) -> Path:
    """A file of gguf-py's."""
    alignment = options.pop("alignment", None)
    writer = gguf.GGUFWriter(path, "llama", **options)
    if alignment:
        writer.add_custom_alignment(alignment)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("alignment", [None, 8, 256])
def test_what_gguf_py_writes_is_read(tmp_path: Path, alignment: int | None) -> None:
    """All values and all bytes are the same on both sides."""
    path = written(tmp_path / "m.gguf", alignment=alignment)
    lines = theirs(path)
    assert len(lines) > 30
    assert ours(path) == lines


@pytest.mark.parametrize("version", [2, 3])
def test_what_the_crate_writes_is_read_by_gguf_py(tmp_path: Path, version: int) -> None:
    """A copy says the same to gguf-py as the original, and carries the version asked for."""
    original = written(tmp_path / "m.gguf")
    assert call("copy", original, tmp_path / "copy.gguf", version).returncode == 0
    assert theirs(tmp_path / "copy.gguf") == theirs(original)
    assert int(gguf.GGUFReader(tmp_path / "copy.gguf").fields["GGUF.version"].contents()) == version


def test_parts_of_gguf_py_are_joined(tmp_path: Path) -> None:
    """A model that gguf-py splits reads as one."""
    written(tmp_path / "m.gguf", split_max_tensors=4)
    paths = sorted(tmp_path.glob("m-*.gguf"))
    assert len(paths) > 3
    assert ours(*paths) == theirs(*paths)


def test_parts_of_the_crate_are_read_by_gguf_py(tmp_path: Path) -> None:
    """A model that the crate splits holds the same tensors, and says how many parts there are."""
    original = written(tmp_path / "m.gguf")
    assert call("split", original, tmp_path / "p", 1000).returncode == 0
    paths = sorted(tmp_path.glob("p-*.gguf"))
    assert len(paths) > 3

    def tensors(lines: list[str]) -> list[list[str]]:
        split = [line.split("\t") for line in lines if line.startswith("tensor")]
        return [[name, *rest] for _, name, _, *rest in split]

    assert tensors(theirs(*paths)) == tensors(theirs(original))
    for number, path in enumerate(paths):
        fields = gguf.GGUFReader(path).fields
        assert fields["split.no"].contents() == number
        assert fields["split.count"].contents() == len(paths)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    """The first part alone is refused with both numbers."""
    written(tmp_path / "m.gguf", split_max_tensors=4)
    first, *rest = sorted(tmp_path.glob("m-*.gguf"))
    done = call("dump", first)
    assert done.returncode != 0
    assert f"expected {len(rest) + 1} parts" in done.stderr


def test_big_endian_files_are_refused_in_words(tmp_path: Path) -> None:
    """Not misread, not called damaged."""
    path = written(tmp_path / "m.gguf", endianess=gguf.GGUFEndian.BIG)
    done = call("dump", path)
    assert done.returncode != 0
    assert "expected a little-endian file, got a big-endian one" in done.stderr
    assert "gguf-convert-endian" in done.stderr


REAL = sorted(Path(os.environ.get("REMUDA_TEST_GGUF", "/nonexistent")).glob("*.gguf"))


@pytest.mark.skipif(not REAL, reason="REMUDA_TEST_GGUF names no folder of files")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_files_read_the_same(path: Path, tmp_path: Path) -> None:
    """Files in the wild, and copies of them."""
    lines = theirs(path)
    assert ours(path) == lines
    assert call("copy", path, tmp_path / "copy.gguf", 3).returncode == 0
    assert theirs(tmp_path / "copy.gguf") == lines
