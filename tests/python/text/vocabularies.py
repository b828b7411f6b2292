"""Fetches what llama.cpp tests its own tokenizers and templates with.

The source distribution of the PyPI package `llama-cpp-python` carries vocabularies with expected
tokens, and chat templates. `python tests/python/text/vocabularies.py` downloads it once and unpacks only the
folder `models` into `target/llama-cpp`; nothing of it is committed, and none of its code is kept.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "0.3.36"
FOLDER = Path(__file__).resolve().parents[3] / "target" / "llama-cpp"
MODELS = FOLDER / "models"


def fetch() -> Path:
    """The folder of vocabularies and templates, downloaded if it is not there."""
    if MODELS.is_dir():
        return MODELS
    package = f"llama-cpp-python=={VERSION}"
    with tempfile.TemporaryDirectory() as folder:
        # Only this package as its sources: of `:all:`, pip would build CMake to read the metadata.
        command = [
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            "llama-cpp-python",
            "-d",
            folder,
            package,
        ]
        subprocess.run([sys.executable, "-m", "pip", *command], check=True)
        (archive,) = Path(folder).glob("*.tar.gz")
        unpack(archive)
    return MODELS


def unpack(archive: Path) -> None:
    """Takes only the files of `models`, by their names."""
    with tarfile.open(archive) as files:
        for file in files:
            parts = Path(file.name).parts
            if not file.isfile() or parts[1:4] != ("vendor", "llama.cpp", "models"):
                continue
            target = FOLDER.joinpath(*parts[3:])
            content = files.extractfile(file)
            if content is not None and ".." not in parts:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())


if __name__ == "__main__":
    print(fetch())
