"""The small models as transformers builds them, with the same seeded weights."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from . import both_halves, encoder, golden, models
from .weights import OF_MATRICES, weights


def _fill(model: Any, scale: float, spread: float) -> None:
    shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    made = weights(shapes, scale=scale, spread=spread)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(torch.from_numpy(made[name]))


def build(name: str) -> Any:
    """The model of this name."""
    case = models.CASES[name]
    kind = getattr(transformers, f"{case.config}Config")
    # A configuration keeps what it does not know, and means nothing by it.
    known = {*kind().to_dict(), *kind.attribute_map}
    common = {key: value for key, value in models.COMMON.items() if key in known}
    config = kind(**{**common, **case.options})
    config._attn_implementation = "eager"
    kind = getattr(transformers, f"{case.config}ForCausalLM", None)
    kind = kind or getattr(transformers, f"{case.config}LMHeadModel")
    model = kind(config).eval().float()
    model.config.use_cache = False
    _fill(model, golden.scale_of(name), OF_MATRICES)
    return model


def describe(model: Any) -> dict[str, Any]:
    """The configuration as it is saved, what it leaves to defaults, and the dimensions of all weights."""
    config = model.config
    facts = {}
    if hasattr(config, "rms_norm_eps"):
        facts["rms_epsilon"] = config.rms_norm_eps
    else:
        named = ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")
        facts["epsilon"] = next(getattr(config, name) for name in named if hasattr(config, name))
    base = getattr(config, "rope_theta", None) or getattr(config, "rotary_emb_base", None)
    if base is not None:
        facts["base"] = base
    shapes = {name: list(weight.shape) for name, weight in model.named_parameters()}
    return {"config": json.loads(config.to_json_string()), "facts": facts, "shapes": shapes}


def logits(model: Any, tokens: list[int]) -> NDArray[np.float64]:
    """The logits behind each of some tokens."""
    with torch.no_grad():
        return np.asarray(model(torch.tensor([tokens])).logits[0].numpy())


def greedy(model: Any, prompt: list[int], steps: int) -> tuple[list[int], list[float]]:
    """The likeliest tokens, one by one, and how far each was ahead of the next one."""
    tokens, ahead = list(prompt), []
    for _ in range(steps):
        first, second = np.argsort(-(row := logits(model, tokens)[-1]), kind="stable")[:2]
        tokens.append(int(first))
        ahead.append(float(row[first] - row[second]))
    return tokens[len(prompt) :], ahead


def log_probabilities(model: Any, tokens: list[int]) -> NDArray[np.float64]:
    """Of every token but the first, given those before."""
    with torch.no_grad():
        told = model(torch.tensor([tokens])).logits[0].double().log_softmax(-1)
    return np.array([float(told[at, token]) for at, token in enumerate(tokens[1:])])


def encoded() -> NDArray[np.float64]:
    """The rows that the encoder makes of its tokens."""
    config = transformers.BertConfig(
        vocab_size=encoder.VOCABULARY,
        hidden_size=encoder.FEATURES,
        num_hidden_layers=encoder.LAYERS,
        num_attention_heads=encoder.HEADS,
        intermediate_size=encoder.INNER,
        max_position_embeddings=encoder.CONTEXT,
    )
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    _fill(model, 1.0, encoder.SPREAD)
    named = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    assert named == encoder.bert_shapes(), "the weights are those of transformers"
    with torch.no_grad():
        return np.asarray(model(torch.tensor([encoder.TOKENS])).last_hidden_state[0].numpy())


def encoded_relative(name: str) -> NDArray[np.float64]:
    """The mean of the rows that an encoder of T5 makes of its tokens."""
    config = transformers.T5Config(**encoder.t5_config(name))
    model = transformers.T5EncoderModel(config).eval()
    _fill(model, 1.0, encoder.SPREAD)
    named = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    assert named == encoder.t5_shapes(name), "the weights are those of transformers"
    with torch.no_grad():
        told = model(torch.tensor([encoder.LONG_TOKENS])).last_hidden_state
        return np.asarray(told[0].double().mean(0, keepdim=True).numpy())


class BothHalves:
    """A T5 with its decoder."""

    def __init__(self, name: str) -> None:
        config = transformers.T5Config(**both_halves.config(name))
        self.model = transformers.T5ForConditionalGeneration(config).eval()
        _fill(self.model, 1.0, encoder.SPREAD)
        named = {name: tuple(weight.shape) for name, weight in self.model.named_parameters()}
        assert named == both_halves.shapes(name), "the weights are those of transformers"

    def logits(self, prompt: list[int], answer: list[int]) -> NDArray[np.float64]:
        """The logits behind the start of an answer and behind each of its tokens."""
        begun = torch.tensor([[both_halves.START, *answer]])
        with torch.no_grad():
            told = self.model(input_ids=torch.tensor([prompt]), decoder_input_ids=begun)
        return np.asarray(told.logits[0].numpy())

    def greedy(self, prompt: list[int], steps: int) -> tuple[list[int], list[float]]:
        """The likeliest tokens, one by one, and how far each was ahead of the next one."""
        answer: list[int] = []
        ahead = []
        for _ in range(steps):
            row = self.logits(prompt, answer)[-1]
            first, second = np.argsort(-row, kind="stable")[:2]
            answer.append(int(first))
            ahead.append(float(row[first] - row[second]))
        return answer, ahead

    def told(self) -> dict[str, NDArray[Any]]:
        """What is stored of it."""
        logits = self.logits(encoder.LONG_TOKENS, both_halves.ANSWER)[both_halves.PLACES]
        answers = [self.greedy(prompt, both_halves.STEPS) for prompt in both_halves.PROMPTS]
        greedy, ahead = zip(*answers, strict=True)
        return {
            "logits": logits.astype(np.float32),
            "greedy": np.array(greedy, dtype=np.uint16),
            "ahead": np.array(ahead, dtype=np.float32),
        }
