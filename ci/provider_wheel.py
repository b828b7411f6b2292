#!/usr/bin/env python3
"""Builds a provider's library and puts it into a wheel of its own, whose path it prints.

    pip install "$(python ci/provider_wheel.py wgpu)"          target/wheels/remuda_wgpu-….whl
    python ci/provider_wheel.py wgpu --library FILE            of a library that is built already
    python ci/provider_wheel.py ggml --beside FOLDER           with that folder's files beside it, in `ggml/`

What a provider loads beside its library is built by its `build-backends.sh`, where it has one. The wheel holds one
package, `remuda_NAME`, with the library in it, and announces it by an entry point of the group `remuda.providers`. The
wheel `remuda` looks into such packages for libraries; no code of theirs is run for that.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import platform
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GROUP = "remuda.providers"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", help="the provider: the folder under `providers`")
    parser.add_argument("--library", type=Path, help="the library, if it is built already")
    parser.add_argument("--beside", type=Path, help="a folder of what the library loads")
    parser.add_argument("--out", type=Path, default=ROOT / "target" / "wheels")
    options = parser.parse_args()
    name, library, beside = options.name, options.library, options.beside
    if library is None:
        library = build(name)
        beside = beside or build_beside(name)
    print(write_wheel(name, library, beside, options.out))


def build(name: str) -> Path:
    command = ["cargo", "build", "--release", "-p", f"remuda-{name}"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    form = {"Windows": "{}.dll", "Darwin": "lib{}.dylib"}.get(platform.system(), "lib{}.so")
    return target / "release" / form.format(f"remuda_{name}")


def build_beside(name: str) -> Path | None:
    script = ROOT / "providers" / name / "build-backends.sh"
    if not script.exists():
        return None
    folder = ROOT / "target" / name / "wheel"
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([script, folder], check=True, env=environment, stdout=sys.stderr)
    return folder


def write_wheel(name: str, library: Path, beside: Path | None, out: Path) -> Path:
    package = f"remuda_{name}"
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    manifest = tomllib.loads((ROOT / "providers" / name / "Cargo.toml").read_text())["package"]
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tag = f"py3-none-{platform}"
    info = f"{package}-{version}.dist-info"
    page = ROOT / "docs" / "providers" / f"{name}.md"
    metadata = [
        "Metadata-Version: 2.4",
        f"Name: remuda-{name}",
        f"Version: {version}",
        f"Summary: {manifest['description']}",
        "License-Expression: MIT OR Apache-2.0",
        "License-File: LICENSE-APACHE",
        "License-File: LICENSE-MIT",
        "Requires-Python: >=3.10",
        f"Requires-Dist: remuda=={version}",
        "Description-Content-Type: text/markdown",
        "",
        page.read_text() if page.exists() else "",
    ]
    wheel = [
        "Wheel-Version: 1.0",
        "Generator: remuda",
        "Root-Is-Purelib: false",
        f"Tag: {tag}",
        "",
    ]
    about = f'"""The provider `{name}` of remuda: a library, found by its entry point."""\n'
    files = {
        f"{package}/__init__.py": about.encode(),
        f"{package}/{library.name}": library.read_bytes(),
        f"{info}/METADATA": "\n".join(metadata).encode(),
        f"{info}/WHEEL": "\n".join(wheel).encode(),
        f"{info}/entry_points.txt": f"[{GROUP}]\n{name} = {package}\n".encode(),
        f"{info}/licenses/LICENSE-APACHE": (ROOT / "LICENSE-APACHE").read_bytes(),
        f"{info}/licenses/LICENSE-MIT": (ROOT / "LICENSE-MIT").read_bytes(),
    }
    for file in sorted(filter(Path.is_file, beside.iterdir())) if beside else []:
        files[f"{package}/{name}/{file.name}"] = file.read_bytes()
    record = [f"{path},sha256={digest(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{package}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, data in files.items():
            archive.writestr(zipfile.ZipInfo(file), data, zipfile.ZIP_DEFLATED)
    return path


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    main()
