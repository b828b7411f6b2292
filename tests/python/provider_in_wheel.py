"""Whether the provider in an installed wheel is found and runs models: `provider_in_wheel.py wgpu`.

Runs in an environment with two packages, `remuda` and that of the provider.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

import remuda

DIGITS = Path(__file__).parents[2] / "bindings" / "cli" / "assets"


def main(name: str) -> None:
    runtime = remuda.Runtime(backends=[name, "cpu"])
    library = found_in_package(runtime, name)
    doctor_shows(library)
    reads_a_digit(runtime, name)
    says_the_same(name)
    print(f"the wheel of `{name}` runs models: {library}")


def found_in_package(runtime: remuda.Runtime, name: str) -> str:
    [found] = [one for one in runtime.libraries() if one["provider"] == name]
    assert found["usable"], found["text"]
    path = Path(found["path"])
    assert path.is_relative_to(sysconfig.get_path("platlib")), path
    assert f"remuda_{name}" not in sys.modules
    return str(path)


def doctor_shows(library: str) -> None:
    command = [sys.executable, "-m", "remuda", "doctor"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"\n{library}: ready\n" in told.stdout, told.stdout


def reads_a_digit(runtime: remuda.Runtime, name: str) -> None:
    session = runtime.load(DIGITS / "digits.onnx")
    file = (DIGITS / "seven.npy").read_bytes()
    [header] = struct.unpack_from("<H", file, 8)
    [port] = session.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in port.shape]
    image = remuda.Tensor.from_bytes("f32", shape, file[10 + header :])
    [answer] = session.run_tensors(["name"], {"image": image})
    assert answer.tolist() == ["seven"], answer.tolist()
    ran = session.get_providers()
    assert any(backend.startswith(f"{name}:") for backend in ran), ran


def says_the_same(name: str) -> None:
    def words(*backends: str) -> str:
        model = remuda.Model("demo", backends)
        return model.generate("A river is a", 16, temperature=0)

    alone, together = words("cpu"), words(name, "cpu")
    assert alone and together == alone, f"expected {alone!r}, got {together!r}"


if __name__ == "__main__":
    main(sys.argv[1])
