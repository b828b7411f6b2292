"""What transformers answers for the small models: stored, so that no test needs it.

`python -m language.golden` in this folder's parent writes the files anew. It needs torch and transformers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import encoder, files
from .models import CASES, VOCABULARY, Case
from .weights import Array, weights

FOLDER = Path(__file__).parent / "golden"
TOKENS = [int(token) for token in np.random.RandomState(3).randint(2, VOCABULARY, 100)]
# Those whose logits are kept.
PLACES = list(range(0, 100, 11))
PROMPT, STEPS = 20, 256


@dataclass
class Golden:
    """A model as transformers has it, and its logits at [`PLACES`]."""

    case: Case
    config: dict[str, Any]
    facts: dict[str, float]
    weights: dict[str, Array]
    logits: NDArray[np.float64]

    def write(self, path: Path, dtype: str = "F32") -> None:
        """Writes it as a GGUF file."""
        files.write(self.case, self.weights, self.facts, path, dtype)

    def write_folder(self, folder: Path, count: int = 1, **settings: Any) -> None:
        """Writes it as a folder, with settings added to its configuration."""
        files.write_folder({**self.config, **settings}, self.weights, folder, count)


def scale_of(name: str) -> float:
    """What norms of a model multiply with in the mean; some add 1 themselves."""
    return 0.0 if name.startswith("gemma") else 1.0


def load(name: str) -> Golden:
    """The model of this name."""
    said = json.loads((FOLDER / "decoders.json").read_text())[name]
    made = weights(said["shapes"], scale=scale_of(name))
    with np.load(FOLDER / "decoders.npz") as arrays:
        logits = arrays[name].astype(np.float64)
    return Golden(CASES[name], said["config"], said["facts"], made, logits)


@dataclass
class Answers:
    """What `llama` answers: the tokens that it takes to be likeliest, how far each was ahead of the next one, and the
    logarithms of the probabilities of [`TOKENS`]."""

    greedy: list[int]
    ahead: list[float]
    log_probabilities: NDArray[np.float64]


def answers() -> Answers:
    """What `llama` answers."""
    with np.load(FOLDER / "answers.npz") as arrays:
        greedy, ahead = arrays["greedy"].tolist(), arrays["ahead"].tolist()
        return Answers(greedy, ahead, arrays["log_probabilities"].astype(np.float64))


def main() -> None:
    from . import reference

    FOLDER.mkdir(exist_ok=True)
    said, logits = {}, {}
    for name in CASES:
        model = reference.build(name)
        said[name] = reference.describe(model)
        logits[name] = reference.logits(model, TOKENS)[PLACES].astype(np.float32)
    text = json.dumps(said, indent=1, sort_keys=True)
    (FOLDER / "decoders.json").write_text(text + "\n")
    np.savez_compressed(FOLDER / "decoders.npz", **logits)
    greedy, ahead = reference.greedy(reference.build("llama"), TOKENS[:PROMPT], STEPS)
    told = reference.log_probabilities(reference.build("llama"), TOKENS)
    np.savez_compressed(
        FOLDER / "answers.npz",
        greedy=np.array(greedy, dtype=np.uint16),
        ahead=np.array(ahead, dtype=np.float32),
        log_probabilities=told.astype(np.float32),
    )
    encoded = {name: reference.encoded_relative(name) for name in encoder.RELATIVE}
    encoded["rows"] = reference.encoded()
    single = {name: rows.astype(np.float32) for name, rows in encoded.items()}
    np.savez_compressed(FOLDER / "encoder.npz", **single)
    write_both_halves()


def write_both_halves() -> None:
    """Writes what transformers says as T5 with its decoder."""
    from . import reference

    told = {name: reference.BothHalves(name).told() for name in encoder.RELATIVE}
    parts = {f"{name}.{part}": rows for name in told for part, rows in told[name].items()}
    np.savez_compressed(FOLDER / "both_halves.npz", **parts)


if __name__ == "__main__":
    main()
