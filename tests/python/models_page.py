#!/usr/bin/env python3
"""Writes docs/reference/models.md: what each architecture is compared with, and the divergence that was seen.

    python tests/python/models_page.py

Small models with seeded weights, as in test_language_models.py, which holds the bounds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import test_language_models as compared
from language import compare, direct, golden
from language.models import CASES

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/models.md"

HEAD = """# Models

What each architecture of language models is compared with, on small models with seeded weights: the largest
Kullback-Leibler divergence of any of 100 tokens, of ten of them with transformers, whose answers are stored
(`tests/python/language/golden.py`) and come from weights and caches in f32. llama.cpp has caches in f16, as we do
beside it; in f32 where the model chooses experts. The bound is {bound:.0e}. Written by
`python tests/python/models_page.py`; the same comparisons are tests
(`tests/python/test_language_models.py`).

| model | architecture | folder | transformers, F32 | llama.cpp, F32 | llama.cpp, F16 |
| :-- | :-- | :-- | --: | --: | --: |
"""

TAIL = """
Quantised weights (every type that llama.cpp writes without statistics of activations) are compared on the first of
these models: the mean divergence from the model with decoded weights is at most llama.cpp's, or below 1e-3.

Folders that are compared "as the file" give the logits of the file with the same weights within 1e-4.

Encoders are compared by their vectors, element by element: `bert` with transformers (2e-6, from files and folders) and
llama.cpp (2e-3), `nomic-bert` with llama.cpp (2e-3) and its folder with the file (1e-6), `t5encoder` with transformers
(2e-6, from files and folders) (`tests/python/test_language_embeddings.py`). `t5` with its decoder is compared with
transformers by the logits of an answer of 150 tokens to a prompt of 200, from files and folders and within the same
bound as the others, and by the likeliest tokens (`tests/python/test_language_both_halves.py`). LoRA adapters are
compared with llama.cpp's logits within the same bound as models (`tests/python/test_language_lora.py`).
"""


def of_transformers(name: str, path: Path) -> list[str]:
    """The figures of a model that transformers builds."""
    model = golden.load(name)
    model.write(path)
    got = compare.remuda_logits(path, cache="f32")[golden.PLACES]
    figures = [compare.divergence(model.logits, got)]
    for dtype in ("F32", "F16"):
        model.write(path, dtype)
        chooses = "expert_count" in model.case.keys
        figures.append(compare.beside_llama_cpp(path, chooses=chooses))
    return [f"{figure:.1e}" for figure in figures]


def of_files(name: str, path: Path) -> list[str]:
    """The figures of a model that is written straight into a file."""
    figures = []
    for dtype in ("F32", "F16"):
        direct.write(name, path, dtype)
        chooses = "expert_count" in direct.CASES[name].keys
        figures.append(f"{compare.beside_llama_cpp(path, chooses=chooses):.1e}")
    return ["-", *figures]


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        for name in CASES:
            read = "compared" if name in compared.FOLDERS else "-"
            rows.append([name, CASES[name].arch, read, *of_transformers(name, path)])
        for name in direct.CASES.keys() - CASES.keys():
            arch = direct.CASES[name].arch or name
            read = "as the file" if name in direct.MIXTURES else "-"
            rows.append([name, arch, read, *of_files(name, path)])
    lines = [f"| {' | '.join(row)} |\n" for row in sorted(rows)]
    PAGE.write_text(HEAD.format(bound=compare.PLAIN_BOUND) + "".join(lines) + TAIL)
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
