#!/usr/bin/env python3
"""Does what docs/guide/write-a-provider.md says, in an empty folder: the page is right if this ends well.

    python3 ci/provider_guide.py [--remuda target/debug/remuda] [--folder FOLDER]

Takes every file and command from the page itself. Two things differ: the SDK is that of this tree, not of the
repository on the network, and the template is built into a folder that keeps what was compiled.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "guide" / "write-a-provider.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--remuda", type=Path, default=target / "debug" / "remuda")
    parser.add_argument("--folder", type=Path, help="where to work [default: a temporary one]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        guide = Guide(options.remuda.resolve(), folder, target.resolve())
        guide.in_rust()
        guide.in_c()
        guide.use_it()
    print("the page does what it says")
    return 0


def chapter(title: str) -> list[tuple[str, str]]:
    """The blocks of a chapter of the page: the language and the text of each."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit(f"{PAGE} has no chapter `{title}`")
    return BLOCK.findall(found[1])


def one(title: str, language: str) -> str:
    """The first block of a language in a chapter."""
    texts = [text for known, text in chapter(title) if known == language]
    if not texts:
        raise SystemExit(f"chapter `{title}` has no block of `{language}`")
    return texts[0]


def replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise SystemExit(f"a template has no `{old}`, which the page wants changed")
    return text.replace(old, new)


class Guide:
    def __init__(self, remuda: Path, folder: Path, target: Path) -> None:
        if not remuda.exists():
            raise SystemExit(f"{remuda} is not built: cargo build -p remuda-cli")
        self.remuda, self.folder, self.target = remuda, folder, target

    def run(self, title: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        """Runs the commands of a chapter. Where the page shows what they print, so they must."""
        path = f"{self.remuda.parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "REMUDA_CACHE": "off"} | (environment or {})
        for command, shown in commands(one(title, "console")):
            print(f"$ {command}", flush=True)
            ran = subprocess.run(
                ["bash", "-c", command],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            if ran.returncode != 0:
                raise SystemExit(
                    f"{ran.stdout}\n`{command}` of the page ends with {ran.returncode}"
                )
            missing = [
                line for line in shown if line.split() not in map(str.split, ran.stdout.split("\n"))
            ]
            if missing:
                raise SystemExit(f"`{command}` does not print `{missing[0]}`, but:\n{ran.stdout}")

    def in_rust(self) -> None:
        folder = self.folder / "npu"
        (folder / "src").mkdir(parents=True, exist_ok=True)
        manifest = one("In Rust", "toml")
        sdk = ROOT / "providers" / "sdk"
        # In place of the repository on the network, and not part of a workspace around the folder.
        manifest, count = re.subn(r'git = "[^"]+"', f'path = "{sdk}"', manifest)
        if count != 1:
            raise SystemExit("the page no longer says where the SDK comes from")
        manifest += "\n[workspace]\n"
        (folder / "Cargo.toml").write_text(manifest)
        shutil.copy(ROOT / "Cargo.lock", folder)
        template = (ROOT / "providers" / "example-rust" / "src" / "lib.rs").read_text()
        named = replaced(
            template, 'NAME: &\'static str = "example-rust"', 'NAME: &\'static str = "npu"'
        )
        (folder / "src" / "lib.rs").write_text(named)
        built = self.target / "provider-guide"
        (folder / "target").unlink(missing_ok=True)
        built.mkdir(parents=True, exist_ok=True)
        (folder / "target").symlink_to(built)
        self.run("In Rust", folder, {"CARGO_TARGET_DIR": str(built)})

    def in_c(self) -> None:
        folder = self.folder / "my"
        folder.mkdir(exist_ok=True)
        template = (ROOT / "providers" / "example-c" / "example.c").read_text()
        named = replaced(template, 'REMUDA_MANIFEST("example-c"', 'REMUDA_MANIFEST("my"')
        named = replaced(named, 'REMUDA_TEXT("example-c")', 'REMUDA_TEXT("my")')
        (folder / "my.c").write_text(named)
        shutil.copy(ROOT / "providers" / "abi" / "include" / "remuda_provider.h", folder)
        self.run("In C", folder)

    def use_it(self) -> None:
        folder = self.folder / "my"
        (folder / "plugins.toml").write_text(one("Use it", "toml"))
        self.run("Use it", folder)


def commands(block: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip() and found:
            found[-1][1].append(line)
    return found


if __name__ == "__main__":
    sys.exit(main())
