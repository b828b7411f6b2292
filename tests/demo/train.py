#!/usr/bin/env python3
"""Trains the demo model, or a larger one of the same recipe.

    python tests/demo/train.py FOLDER [--shape demo] [--steps 3000]

FOLDER holds what corpus.py wrote. Everything goes to FOLDER/SHAPE: the tokenizer, the checkpoint (a run that is
stopped goes on from it; more `--steps` prolong a finished one), the loss curve, and at the end `weights.pt`. The
learning rate is constant until the last quarter of the steps and then falls to nothing. Matrices learn by momentum
that is made orthogonal first ("Muon", K. Jordan 2024), everything else by AdamW.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from network import SHAPES, Network, Shape
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional as F

SPECIAL = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
SEED = 1
BATCH = 8
COOLING = 0.25
MATRIX_RATE = 0.02
OTHER_RATE = 0.003
SAVE_EVERY = 50
JUDGE_EVERY = 250


def main() -> int:
    arguments = parse()
    folder = arguments.folder / arguments.shape
    folder.mkdir(exist_ok=True)
    shape = SHAPES[arguments.shape]
    torch.manual_seed(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = learn_tokenizer(arguments.folder, folder, shape)
    train, validation = (
        tokens(arguments.folder, folder, name, tokenizer) for name in ("train", "validation")
    )
    run = Run(Network(shape).to(device), folder, arguments.steps, device, arguments.batch)
    run.resume()
    while run.step < arguments.steps:
        loss = run.advance(train)
        if run.step % JUDGE_EVERY == 0 or run.step == arguments.steps:
            run.log(loss, run.judge(validation))
        if run.step % SAVE_EVERY == 0 or run.step == arguments.steps:
            run.save()
    torch.save(run.network.state_dict(), folder / "weights.pt")
    (folder / "shape.json").write_text(json.dumps(shape.as_dict(), indent=1))
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="demo")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=BATCH)
    return parser.parse_args()


def learn_tokenizer(corpus: Path, folder: Path, shape: Shape) -> Tokenizer:
    """Byte-level BPE, with the split of GPT-2."""
    path = folder / "tokenizer.json"
    if not path.exists():
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=shape.vocabulary,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        tokenizer.train_from_iterator(texts(corpus / "train.jsonl"), trainer)
        tokenizer.save(str(path))
    return Tokenizer.from_file(str(path))


def texts(path: Path):
    for line in path.open():
        document = json.loads(line)
        if document["kind"] == "chat":
            yield f"<|user|>{document['question']}<|end|><|assistant|>{document['answer']}<|end|>"
        else:
            yield f"{document['text']}<|end|>"


def tokens(corpus: Path, folder: Path, name: str, tokenizer: Tokenizer) -> np.ndarray:
    """All documents of a file in a random order, one after the other."""
    path = folder / f"{name}.npy"
    if not path.exists():
        documents = [
            encoding.ids
            for encoding in tokenizer.encode_batch(list(texts(corpus / f"{name}.jsonl")))
        ]
        order = np.random.default_rng(SEED).permutation(len(documents))
        np.save(
            path, np.concatenate([np.array(documents[index], dtype=np.uint16) for index in order])
        )
    return np.load(path, mmap_mode="r")


class Run:
    """A training run that can be stopped and goes on."""

    def __init__(self, network: Network, folder: Path, steps: int, device: str, batch: int) -> None:
        self.network, self.folder, self.steps, self.device = network, folder, steps, device
        self.batch, self.step, self.seen = batch, 0, 0
        self.started = time.monotonic()
        matrices = [p for name, p in network.named_parameters() if p.ndim == 2 and "layers" in name]
        rest = [p for name, p in network.named_parameters() if p.ndim != 2 or "layers" not in name]
        adam = torch.optim.AdamW(rest, lr=OTHER_RATE, betas=(0.9, 0.95), weight_decay=0.01)
        self.optimizers = [Muon(matrices, lr=MATRIX_RATE), adam]
        self.rates = [MATRIX_RATE, OTHER_RATE]

    def rate(self) -> float:
        """The share of the full learning rate: a short rise, a plain, a fall."""
        rise = min(1.0, (self.step + 1) / 50)
        fall = min(1.0, (self.steps - self.step) / max(1.0, COOLING * self.steps))
        return rise * fall

    def advance(self, data: np.ndarray) -> float:
        loss = self.loss(data, self.seen)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * self.rate()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.seen += self.batch * self.network.shape.context
        return loss.item()

    def loss(self, data: np.ndarray, start: int) -> torch.Tensor:
        """Of the batch that begins at a token; the data goes round."""
        length = self.network.shape.context
        rows = (start + np.arange(self.batch)[:, None] * length + np.arange(length + 1)) % len(data)
        block = torch.from_numpy(data[rows].astype(np.int64)).to(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            scores = self.network(block[:, :-1])
        return F.cross_entropy(scores.float().flatten(0, 1), block[:, 1:].flatten())

    @torch.no_grad()
    def judge(self, data: np.ndarray) -> float:
        """The mean loss over the held-out tokens, in nats."""
        stride = self.batch * self.network.shape.context
        starts = range(0, max(1, len(data) - stride), stride)
        return sum(self.loss(data, start).item() for start in starts) / len(starts)

    def log(self, train: float, validation: float) -> None:
        entry = {
            "step": self.step,
            "tokens": self.seen,
            "train": round(train, 4),
            "validation": round(validation, 4),
            "perplexity": round(math.exp(validation), 2),
        }
        print(entry, f"{time.monotonic() - self.started:.0f} s", flush=True)
        with (self.folder / "curve.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "seen": self.seen,
        }
        torch.save(state, self.folder / "checkpoint.new")
        (self.folder / "checkpoint.new").rename(self.folder / "checkpoint.pt")

    def resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, map_location=self.device)
            self.network.load_state_dict(state["network"])
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.step, self.seen = state["step"], state["seen"]


class Muon(torch.optim.Optimizer):
    """Momentum whose singular values are brought near one before each step."""

    def __init__(
        self, parameters: list[torch.nn.Parameter], lr: float, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                memory = self.state[parameter].setdefault("memory", torch.zeros_like(parameter))
                memory.lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonal(parameter.grad.lerp(memory, group["momentum"]))
                rows, columns = parameter.shape
                parameter.mul_(1 - 0.1 * group["lr"])
                parameter.add_(update, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Five steps of a Newton-Schulz iteration towards the nearest orthogonal matrix."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


if __name__ == "__main__":
    sys.exit(main())
