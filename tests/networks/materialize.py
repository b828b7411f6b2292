#!/usr/bin/env python3
"""Rebuilds the full networks from their skeletons into a cache folder: same skeleton, same bytes.

    python tests/networks/materialize.py [NAME ...] [--folder target/networks]

A model that is already there and belongs to the same skeleton is left alone. Needs numpy, ml_dtypes and onnx.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parent))

import skeleton
from catalog import Entry, load_catalog

FOLDER = Path(__file__).resolve().parents[2] / "target" / "networks"


def materialize(entry: Entry, folder: Path = FOLDER) -> Path:
    """The path of the full model, which is built first if need be; safe to call from several processes."""
    data = entry.skeleton.read_bytes()
    recipe = Path(skeleton.__file__).read_bytes() + np.__version__.encode()
    stamp_text = hashlib.sha256(recipe + data).hexdigest()
    path, stamp = folder / f"{entry.name}.onnx", folder / f"{entry.name}.stamp"
    if path.exists() and stamp.exists() and stamp.read_text() == stamp_text:
        return path
    model = onnx.ModelProto.FromString(data)
    skeleton.fill(model)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{entry.name}.{os.getpid()}.part"
    unfinished.write_bytes(model.SerializeToString(deterministic=True))
    stamp.unlink(missing_ok=True)
    unfinished.replace(path)
    stamp.write_text(stamp_text)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="all networks if none is named")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    entries = {entry.name: entry for entry in load_catalog()}
    if unknown := set(options.names) - set(entries):
        print(f"unknown networks: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    for name in options.names or entries:
        path = materialize(entries[name], options.folder)
        print(f"{path.stat().st_size / 1e6:8.1f} MB  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
