"""The catalog of exported networks: what each takes, at which sizes it is tested and measured."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inputs import Input

HERE = Path(__file__).resolve().parent
CATALOG = HERE / "catalog.json"
SKELETONS = HERE / "skeletons"


@dataclass(frozen=True)
class Entry:
    """One network: its skeleton's name, the network it is a variant of, its inputs and sizes."""

    name: str
    base: str
    family: str
    precision: str
    opset: int
    inputs: dict[str, Input]
    sizes: list[dict[str, int]]
    bench: dict[str, int]

    @property
    def skeleton(self) -> Path:
        return SKELETONS / f"{self.name}.onnx"

    def variant(self, suffix: str, precision: str) -> Entry:
        return replace(self, name=f"{self.name}-{suffix}", precision=precision)

    def to_json(self) -> dict[str, Any]:
        inputs = {name: spec.to_json() for name, spec in self.inputs.items()}
        return {**vars(self), "inputs": inputs}


def load_catalog() -> list[Entry]:
    """All entries, in the order of the zoo; each network before its variants."""
    entries = []
    for value in json.loads(CATALOG.read_text()):
        variants = value.pop("variants")
        inputs = {name: Input.from_json(spec) for name, spec in value.pop("inputs").items()}
        base = Entry(**value, base=value["name"], precision="f32", inputs=inputs)
        entries.append(base)
        entries.extend(base.variant(suffix, precision) for suffix, precision in variants.items())
    return entries


def save_catalog(entries: list[Entry]) -> None:
    """Writes one line per network; a variant shares all but its suffix and precision."""
    rows = []
    for base in entries:
        if base.name == base.base:
            row = base.to_json()
            del row["base"], row["precision"]
            row["variants"] = {
                entry.name.removeprefix(f"{base.name}-"): entry.precision
                for entry in entries
                if entry.base == base.name and entry is not base
            }
            rows.append(json.dumps(row))
    CATALOG.write_text("[\n" + ",\n".join(rows) + "\n]\n")
