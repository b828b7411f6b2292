"""Transformers for text and speech, built from `transformers` configurations with seeded weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    WhisperConfig,
    WhisperForConditionalGeneration,
)
from transformers.cache_utils import EncoderDecoderCache

from inputs import Input
from zoo.network import Network


def livelier(module: nn.Module, factor: float = 2.0) -> nn.Module:
    """Fresh transformer weights are so small that every token ends up alike; trained ones are not."""
    for name, parameter in module.named_parameters():
        if parameter.dim() > 1 and "embed" not in name:
            parameter.data.mul_(factor)
        elif name.endswith("bias"):
            parameter.data.normal_(0.0, 0.05)
    return module.eval()


class Encoder(nn.Module):
    """BERT without its pooler: the hidden state of every token."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = livelier(BertModel(config, add_pooling_layer=False))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        return self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state


BERT_TINY = BertConfig(
    vocab_size=30522,
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=512,
    attn_implementation="sdpa",
)
MINILM = BertConfig(
    vocab_size=30522,
    hidden_size=384,
    num_hidden_layers=6,
    num_attention_heads=12,
    intermediate_size=1536,
    attn_implementation="eager",
)

ENCODER_INPUTS = {
    "input_ids": Input("tokens", ("batch", "tokens"), "int64", 30522),
    "attention_mask": Input("mask", ("batch", "tokens"), "int64"),
    "token_type_ids": Input("zeros", ("batch", "tokens"), "int64"),
}
TOKENS = [{"batch": 1, "tokens": 9}, {"batch": 3, "tokens": 32}]
LINE = {"batch": 1, "tokens": 128}


class TinyGpt2(nn.Module):
    """A GPT-2 whose cache comes and goes as one tensor per layer, keys above values."""

    config = GPT2Config(
        vocab_size=8000,
        n_positions=128,
        n_embd=256,
        n_layer=4,
        n_head=4,
        attn_implementation="eager",
    )

    def __init__(self) -> None:
        super().__init__()
        self.gpt2 = livelier(GPT2LMHeadModel(self.config))

    def forward(
        self, input_ids: Tensor, position_ids: Tensor, attention_mask: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        result = self.gpt2(
            input_ids,
            position_ids=position_ids,
            attention_mask=attention_mask,
            past_key_values=tuple((layer[0], layer[1]) for layer in past),
            use_cache=True,
        )
        present = [torch.stack(layer) for layer in result.past_key_values]
        return (result.logits, *present)


GPT2_PAST = {f"past_{layer}": Input("normal", (2, "batch", 4, "past", 64)) for layer in range(4)}
GPT2_INPUTS = {
    "input_ids": Input("tokens", ("batch", "tokens"), "int64", 8000),
    "position_ids": Input("positions", ("batch", "tokens"), "int64"),
    "attention_mask": Input("mask", ("batch", "past + tokens"), "float32"),
    **GPT2_PAST,
}


def whisper() -> WhisperForConditionalGeneration:
    config = WhisperConfig(
        d_model=384,
        encoder_layers=4,
        decoder_layers=4,
        encoder_attention_heads=6,
        decoder_attention_heads=6,
        encoder_ffn_dim=1536,
        decoder_ffn_dim=1536,
        vocab_size=51865,
        attn_implementation="eager",
    )
    return livelier(WhisperForConditionalGeneration(config))


class WhisperEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = whisper().model.encoder

    def forward(self, mel: Tensor) -> Tensor:
        return self.encoder(mel).last_hidden_state


class WhisperFirstStep(nn.Module):
    """The decoder before it has a cache: it projects the encoder's states itself."""

    def __init__(self) -> None:
        super().__init__()
        self.whisper = whisper()

    def forward(self, input_ids: Tensor, encoded: Tensor) -> tuple[Tensor, ...]:
        result = self.whisper.model.decoder(
            input_ids, encoder_hidden_states=encoded, use_cache=True
        )
        present = [tensor for layer in result.past_key_values for tensor in layer]
        return (self.whisper.proj_out(result.last_hidden_state), *present)


class WhisperNextStep(nn.Module):
    """The decoder with a cache, which holds all it needs of the encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.whisper = whisper()

    def forward(self, input_ids: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        layers = tuple(tuple(past[i : i + 4]) for i in range(0, len(past), 4))
        cache = EncoderDecoderCache.from_legacy_cache(layers)
        result = self.whisper.model.decoder(
            input_ids,
            encoder_hidden_states=past[2].flatten(2)[:, :1],
            past_key_values=cache,
            use_cache=True,
        )
        present = [tensor for layer in cache.to_legacy_cache() for tensor in layer[:2]]
        return (self.whisper.proj_out(result.last_hidden_state), *present)


def whisper_cache(prefix: str, own: str | int, parts: tuple[str, ...]) -> dict[str, Input]:
    lengths = {"key": own, "value": own, "encoded_key": "frames", "encoded_value": "frames"}
    return {
        f"{prefix}_{layer}_{part}": Input("normal", ("batch", 6, lengths[part], 64))
        for layer in range(4)
        for part in parts
    }


OWN = ("key", "value")
OWN_AND_ENCODED = (*OWN, "encoded_key", "encoded_value")
WHISPER_TOKENS = {"input_ids": Input("tokens", ("batch", "tokens"), "int64", 51865)}
FIRST_PRESENT = whisper_cache("present", "tokens", OWN_AND_ENCODED)
NEXT_PAST = whisper_cache("past", "past", OWN_AND_ENCODED)
NEXT_PRESENT = whisper_cache("present", "past + tokens", OWN)


def axes(values: dict[str, Input]) -> dict[str, tuple[int | str, ...]]:
    return {name: value.shape for name, value in values.items()}


NETWORKS = [
    Network(
        "bert_tiny",
        "transformer",
        18,
        lambda: Encoder(BERT_TINY),
        ENCODER_INPUTS,
        ["hidden"],
        TOKENS,
        LINE,
        {"hidden": ("batch", "tokens", 128)},
    ),
    Network(
        "minilm",
        "transformer",
        17,
        lambda: Encoder(MINILM),
        ENCODER_INPUTS,
        ["hidden"],
        TOKENS,
        LINE,
        {"hidden": ("batch", "tokens", 384)},
    ),
    Network(
        "gpt2_tiny",
        "transformer",
        14,
        TinyGpt2,
        GPT2_INPUTS,
        ["logits", *(f"present_{layer}" for layer in range(4))],
        [
            {"batch": 1, "tokens": 6, "past": 0},
            {"batch": 1, "tokens": 1, "past": 11},
            {"batch": 2, "tokens": 3, "past": 5},
        ],
        {"batch": 1, "tokens": 1, "past": 127},
        {
            "logits": ("batch", "tokens", 8000),
            **{f"present_{i}": (2, "batch", 4, "past + tokens", 64) for i in range(4)},
        },
    ),
    Network(
        "whisper_tiny_encoder",
        "transformer",
        18,
        WhisperEncoder,
        {"mel": Input("normal", ("batch", 80, 3000))},
        ["encoded"],
        [{"batch": 1}],
        {"batch": 1},
        {"encoded": ("batch", 1500, 384)},
    ),
    Network(
        "whisper_tiny_decoder",
        "transformer",
        19,
        WhisperFirstStep,
        {**WHISPER_TOKENS, "encoded": Input("normal", ("batch", "frames", 384))},
        ["logits", *FIRST_PRESENT],
        [
            {"batch": 1, "tokens": 4, "frames": 50},
            {"batch": 2, "tokens": 3, "frames": 120},
        ],
        {"batch": 1, "tokens": 4, "frames": 1500},
        {"logits": ("batch", "tokens", 51865), **axes(FIRST_PRESENT)},
    ),
    Network(
        "whisper_tiny_decoder_past",
        "transformer",
        19,
        WhisperNextStep,
        {**WHISPER_TOKENS, **NEXT_PAST},
        ["logits", *NEXT_PRESENT],
        [
            {"batch": 1, "tokens": 1, "past": 4, "frames": 50},
            {"batch": 2, "tokens": 2, "past": 9, "frames": 30},
        ],
        {"batch": 1, "tokens": 1, "past": 32, "frames": 1500},
        {"logits": ("batch", "tokens", 51865), **axes(NEXT_PRESENT)},
    ),
]
