"""Recurrent networks over word ids: torch's LSTM and GRU become the ONNX operators of that name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inputs import Input
from zoo.network import Network

VOCABULARY = 500
SIZES = [{"batch": 1, "tokens": 7}, {"batch": 3, "tokens": 20}]
BENCH = {"batch": 1, "tokens": 64}
TAGS = {"tags": ("batch", "tokens", 12)}


class Tagger(nn.Module):
    """Embeds words, runs a recurrent net over them and scores a tag for each."""

    def __init__(self, recurrent: nn.RNNBase, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, recurrent.input_size)
        self.recurrent = recurrent
        self.score = nn.Linear(width, 12)

    def forward(self, words: Tensor) -> Tensor:
        states, _ = self.recurrent(self.embed(words))
        return self.score(torch.tanh(states) * 4)


def lstm() -> nn.Module:
    return Tagger(nn.LSTM(96, 128, num_layers=2, bidirectional=True, batch_first=True), 256).eval()


def gru() -> nn.Module:
    return Tagger(nn.GRU(96, 192, num_layers=2, batch_first=True), 192).eval()


WORDS = {"words": Input("tokens", ("batch", "tokens"), "int64", VOCABULARY)}

NETWORKS = [
    Network("lstm", "recurrent", 14, lstm, WORDS, ["tags"], SIZES, BENCH, TAGS),
    Network("gru", "recurrent", 16, gru, WORDS, ["tags"], SIZES, BENCH, TAGS),
]
