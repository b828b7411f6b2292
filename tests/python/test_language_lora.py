"""LoRA adapters beside the model's own weights, compared with llama.cpp on the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import remuda

gguf = pytest.importorskip("gguf")

from language import direct, models  # noqa: E402
from language.compare import (  # noqa: E402
    PLAIN_BOUND,
    QUANTISED_BOUND,
    ROUNDING,
    divergence,
    divergences,
    llama_cpp_logits,
    open_model,
)
from language.files import finish  # noqa: E402
from language.golden import TOKENS  # noqa: E402

RANK = 4
F, INNER = models.FEATURES, models.INNER
KV = models.KV_HEADS * direct.HEAD

# Outputs and inputs of the adapted weights.
ADAPTED: dict[str, tuple[int, ...]] = {
    "blk.0.attn_q": (F, F),
    "blk.1.attn_v": (KV, F),
    "blk.1.ffn_down": (F, INNER),
    "blk.2.ffn_gate": (INNER, F),
    "output": (models.VOCABULARY, F),
}
OF_EXPERTS = {
    "blk.0.ffn_up_exps": (direct.EXPERTS, INNER, F),
    "blk.1.ffn_down_exps": (direct.EXPERTS, F, INNER),
}


def write_adapter(
    path: Path,
    arch: str = "llama",
    adapted: dict[str, tuple[int, ...]] | None = None,
    *,
    alpha: float = 8.0,
    rank: int = RANK,
    keys: dict[str, str] | None = None,
) -> None:
    writer = gguf.GGUFWriter(path, (keys or {}).get("general.architecture", arch))
    writer.add_string("general.type", (keys or {}).get("general.type", "adapter"))
    writer.add_string("adapter.type", (keys or {}).get("adapter.type", "lora"))
    writer.add_float32("adapter.lora.alpha", alpha)
    random = np.random.default_rng(11)
    for name, (*front, outputs, inputs) in (adapted or ADAPTED).items():
        for factor, shape in (("a", [*front, rank, inputs]), ("b", [*front, outputs, rank])):
            values = random.normal(0.0, 0.15, shape).astype(np.float32)
            writer.add_tensor(f"{name}.weight.lora_{factor}", values)
    finish(writer)


def logits(path: Path, *adapters: tuple[Path, float], cache: str = "f16") -> Any:
    return np.asarray(open_model(path, lora=list(adapters), cache=cache).logits(TOKENS))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lora") / "m.gguf"
    direct.write("llama", path)
    return path


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("alpha", [8.0, 0.0])
def test_an_adapter_adds_what_it_adds_in_llama_cpp(
    model: Path, tmp_path: Path, scale: float, alpha: float
) -> None:
    adapter = tmp_path / "a.gguf"
    write_adapter(adapter, alpha=alpha)
    want = llama_cpp_logits(model, lora_path=str(adapter), lora_scale=scale)
    got = logits(model, (adapter, scale))
    assert divergence(logits(model), got) > 1e-3, "the adapter says something"
    assert divergence(want, got) <= PLAIN_BOUND


def test_an_adapter_of_experts_adds_what_it_adds_in_llama_cpp(tmp_path: Path) -> None:
    path, adapter = tmp_path / "m.gguf", tmp_path / "a.gguf"
    direct.write("qwen3moe", path)
    write_adapter(adapter, "qwen3moe", OF_EXPERTS)
    # A rounded cache may choose other experts.
    want = llama_cpp_logits(path, lora_path=str(adapter), type_k=0, type_v=0)
    got = logits(path, (adapter, 1.0), cache="f32")
    assert divergence(logits(path), got) > 1e-4
    assert divergence(want, got) <= PLAIN_BOUND


def test_several_adapters_add_up(model: Path, tmp_path: Path) -> None:
    one, half = tmp_path / "one.gguf", tmp_path / "half.gguf"
    write_adapter(one)
    write_adapter(half, alpha=4.0)
    twice = logits(model, (half, 1.0), (half, 1.0))
    np.testing.assert_allclose(twice, logits(model, (one, 1.0)), atol=1e-3)
    np.testing.assert_array_equal(logits(model, (one, 0.0)), logits(model))


def test_a_quantised_model_is_adapted_as_it_is(model: Path, tmp_path: Path) -> None:
    path, adapter = tmp_path / "q.gguf", tmp_path / "a.gguf"
    direct.write("llama", path, "Q8_0")
    write_adapter(adapter)
    want = logits(model, (adapter, 1.0))
    theirs = divergences(want, llama_cpp_logits(path, lora_path=str(adapter))).mean()
    got = divergences(want, logits(path, (adapter, 1.0))).mean()
    assert got <= max(QUANTISED_BOUND, ROUNDING * theirs)
    assert got < divergences(want, logits(path)).mean() / 10


def test_adapters_are_named_in_many_ways(model: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "a.gguf"
    write_adapter(adapter)
    want = np.asarray(remuda.Model(model, lora=[(adapter, 0.5)]).logits(TOKENS))
    for named in [(adapter, 0.5), [(str(adapter), 0.25), (adapter, 0.25)]]:
        got = np.asarray(remuda.Model(model, lora=named).logits(TOKENS))
        np.testing.assert_allclose(got, want, atol=1e-3)
    whole = np.asarray(remuda.Model(model, lora=adapter).logits(TOKENS))
    assert divergence(want, whole) > 1e-4


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (
            {"keys": {"general.architecture": "qwen2"}},
            "ModelFormatError",
            "is `qwen2`, expected `llama`",
        ),
        ({"keys": {"general.type": "model"}}, "ModelFormatError", "is `model`, expected `adapter`"),
        ({"keys": {"adapter.type": "ia3"}}, "ModelFormatError", "is `ia3`, expected `lora`"),
        ({"adapted": {"blk.9.attn_q": (F, F)}}, "UnsupportedError", "blk.9.attn_q.weight.lora_a"),
        ({"adapted": {"blk.0.attn_q": (F, F + 32)}}, "ModelFormatError", "has dimensions"),
    ],
)
def test_what_is_no_adapter_for_the_model_is_refused(
    model: Path, tmp_path: Path, change: dict[str, Any], kind: str, message: str
) -> None:
    write_adapter(tmp_path / "a.gguf", **change)
    with pytest.raises(getattr(remuda, kind), match=message):
        remuda.Model(model, lora=tmp_path / "a.gguf")
