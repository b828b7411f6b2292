"""Language models compared with what transformers answers and, on the same files, with llama.cpp."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from remuda import _core

gguf = pytest.importorskip("gguf")

from language import direct, files, golden, quantised  # noqa: E402
from language.compare import (  # noqa: E402
    PLAIN_BOUND,
    QUANTISED_BOUND,
    ROUNDING,
    beside_llama_cpp,
    divergence,
    divergences,
    llama_cpp_logits,
    open_model,
    remuda_logits,
)
from language.golden import PLACES, PROMPT, STEPS, TOKENS, Golden  # noqa: E402
from language.models import CASES, LAYERS, VOCABULARY  # noqa: E402


@pytest.fixture(scope="module", params=sorted(CASES))
def model(request: pytest.FixtureRequest) -> Golden:
    return golden.load(request.param)


def test_logits_agree_with_transformers(model: Golden, tmp_path: Path) -> None:
    model.write(tmp_path / "m.gguf")
    got = remuda_logits(tmp_path / "m.gguf", cache="f32")
    assert model.logits.std() > 0.1, "the model says something"
    assert divergence(model.logits, got[PLACES]) <= PLAIN_BOUND
    pieces = remuda_logits(tmp_path / "m.gguf", cache="f32", n_batch=7)
    assert divergence(got, pieces) <= PLAIN_BOUND


# The pinned transformers reads YaRN's configuration in a way of its own.
FOLDERS = sorted(set(CASES) - {"llama-yarn"})


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_give_the_logits_of_transformers(name: str, tmp_path: Path) -> None:
    model = golden.load(name)
    model.write_folder(tmp_path, 5 if name in {"qwen2", "mixtral"} else 1)
    got = remuda_logits(tmp_path, cache="f32")
    assert divergence(model.logits, got[PLACES]) <= PLAIN_BOUND


@pytest.mark.parametrize("name", ["llama", "gpt2", "gptneox", "falcon-groups"])
def test_folders_may_lack_the_prefix_and_hold_masks(name: str, tmp_path: Path) -> None:
    model = golden.load(name)
    plain = {tensor.removeprefix("transformer."): made for tensor, made in model.weights.items()}
    of_layers = {"gpt2": "h.{}.attn", "gptneox": "gpt_neox.layers.{}.attention"}
    for at in range(LAYERS if name in of_layers else 0):
        scope = of_layers[name].format(at)
        plain[f"{scope}.bias"] = np.tril(np.ones((1, 1, 8, 8), bool))
        plain[f"{scope}.masked_bias"] = np.array(-1e4, np.float32)
    files.write_folder(model.config, plain, tmp_path)
    got = remuda_logits(tmp_path, cache="f32")
    assert divergence(model.logits, got[PLACES]) <= PLAIN_BOUND


REFUSED = [
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "expected false"),
    ("gpt2", {"scale_attn_weights": False}, "expected true"),
    ("gpt2", {"activation_function": "relu"}, '`"relu"`, .*: expected "gelu_new" or'),
    ("gpt2", {"add_cross_attention": True}, "expected false"),
    ("gpt2", {"quantization_config": {"bits": 4}}, "expected no setting of this name"),
    ("gptneox", {"hidden_act": "gelu_new"}, 'expected "gelu"'),
    ("gptneox", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "the type `default` or"),
    ("gptneox", {"rotary_pct": 0.0, "partial_rotary_factor": None}, "a part of each head"),
    ("falcon-groups", {"alibi": True}, "expected false"),
    ("falcon-groups", {"parallel_attn": False}, "expected true"),
    ("falcon-groups", {"num_ln_in_parallel_attn": 3}, "expected a number from 1 to 2"),
    ("falcon-groups", {"activation": "relu"}, 'expected "gelu"'),
    ("falcon-groups", {"novelty": 3}, "expected no setting of this name"),
]


@pytest.mark.parametrize(("name", "settings", "message"), REFUSED)
def test_settings_of_folders_that_are_not_supported_are_named(
    name: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    import remuda

    golden.load(name).write_folder(tmp_path, **settings)
    with pytest.raises(remuda.UnsupportedError, match=f"`{next(iter(settings))}` is .*{message}"):
        open_model(tmp_path)


CONTRADICTIONS = [
    ("gptneox", {"rope_theta": 7.0}, "`rope_theta`: expected 10000 as `rotary_emb_base` says"),
    ("gptneox", {"num_hidden_layers": None}, "`num_hidden_layers`: expected a size, got nothing"),
    ("gpt2", {"n_head": -4}, "`n_head`: expected a size, got -4"),
    ("gpt2", {"n_head": 3}, "`gpt2.attention.head_count` is 3, expected a divisor of 256"),
    ("gpt2", {"tie_word_embeddings": False}, "the weight `lm_head.weight` is missing"),
    ("falcon-heads", {"num_kv_heads": 2}, "`num_kv_heads`: expected 4 without `multi_query`"),
    ("falcon-groups", {"num_kv_heads": 3}, "head_count_kv` is 3, expected a divisor of 4"),
    ("falcon-groups", {"num_kv_heads": 4}, r"attn_qkv_groups.weight` has dimensions \[512, 256\]"),
    ("falcon-groups", {"ffn_hidden_size": 300}, "ffn_up.weight` has dimensions"),
]


@pytest.mark.parametrize(("name", "settings", "message"), CONTRADICTIONS)
def test_settings_of_folders_that_make_no_sense_are_named(
    name: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    import remuda

    golden.load(name).write_folder(tmp_path, **settings)
    with pytest.raises(remuda.ModelFormatError, match=message):
        open_model(tmp_path)


@pytest.mark.parametrize("name", sorted(direct.MIXTURES))
def test_folders_with_experts_give_the_logits_of_files(name: str, tmp_path: Path) -> None:
    direct.write(name, tmp_path / "m.gguf")
    direct.write_mixture_folder(name, tmp_path, 3)
    want = remuda_logits(tmp_path / "m.gguf", cache="f32")
    np.testing.assert_allclose(remuda_logits(tmp_path, cache="f32"), want, atol=1e-4)


def test_experts_may_stay_in_the_file(tmp_path: Path) -> None:
    golden.load("mixtral").write_folder(tmp_path)
    unpacked = _core.Runtime(["cpu"], 2, repack=False)
    got = np.asarray(_core.LanguageModel(unpacked, tmp_path, cache="f32").logits(TOKENS))
    assert divergence(golden.load("mixtral").logits, got[PLACES]) <= PLAIN_BOUND


@pytest.mark.parametrize("name", sorted(CASES))
def test_stored_logits_are_those_of_transformers(name: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from language import reference

    stored, live = golden.load(name), reference.build(name)
    said = reference.describe(live)
    assert {tensor: list(weight.shape) for tensor, weight in stored.weights.items()} == said[
        "shapes"
    ]
    assert (stored.config, stored.facts) == (said["config"], said["facts"])
    want = reference.logits(live, TOKENS)[PLACES]
    np.testing.assert_allclose(stored.logits, want, atol=1e-4)


def test_folders_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    import remuda

    config = tmp_path / "config.json"
    cases = [
        ('{"model_type": "lama"}', remuda.UnsupportedError, "`lama` is not supported.*`llama`"),
        ("{", remuda.ModelFormatError, "config.json"),
        ("{}", remuda.ModelFormatError, "expected a text `model_type`"),
    ]
    for text, kind, message in cases:
        config.write_text(text)
        with pytest.raises(kind, match=message):
            open_model(tmp_path)


# One architecture of every sort of folder.
SORTS = ["gpt2", "gptneox", "falcon-groups", "llama"]


@pytest.mark.parametrize("name", SORTS)
def test_folders_that_are_cut_off_say_where(name: str, tmp_path: Path) -> None:
    import remuda

    golden.load(name).write_folder(tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    whole, said = weights.read_bytes(), config.read_text()
    header = int.from_bytes(whole[:8], "little")
    cuts = [
        (0, ""),
        (7, "expected at least 8 bytes"),
        (8 + header // 2, "expected a header of at most"),
        (8 + header, "expected a range within 0 bytes of data"),
        (len(whole) - 1, "expected a range within"),
    ]
    for length, message in cuts:
        weights.write_bytes(whole[:length])
        with pytest.raises(remuda.Error, match=f"model.safetensors.*{message}"):
            open_model(tmp_path)
    weights.write_bytes(whole)
    for length in (0, 1, len(said) // 2, len(said) - 1):
        config.write_text(said[:length])
        with pytest.raises(remuda.ModelFormatError, match=r"config\.json`: EOF"):
            open_model(tmp_path)
    config.unlink()
    with pytest.raises(remuda.Error, match=r"config\.json"):
        open_model(tmp_path)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gptneox", "falcon-groups"])
def test_a_weight_of_a_folder_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    import remuda

    model = golden.load(name)
    # Where a norm is told by its scale, its offset is what has no place.
    named = r"weight `blk\.1\.\w+\.(weight` is missing|bias` has no place)"
    for left_out in [tensor for tensor in model.weights if re.search(r"\.1\..*weight", tensor)]:
        made = {tensor: weight for tensor, weight in model.weights.items() if tensor != left_out}
        files.write_folder(model.config, made, tmp_path)
        with pytest.raises(remuda.Error, match=named):
            open_model(tmp_path)


def test_a_norm_that_is_lost_whole_is_named(tmp_path: Path) -> None:
    import remuda

    model = golden.load("gptneox")
    lost = "layers.1.post_attention_layernorm"
    made = {tensor: weight for tensor, weight in model.weights.items() if lost not in tensor}
    assert len(made) == len(model.weights) - 2
    files.write_folder(model.config, made, tmp_path)
    with pytest.raises(remuda.Error, match=r"weight `blk\.1\.ffn_norm\.weight` is missing"):
        open_model(tmp_path)


@pytest.mark.parametrize("name", SORTS)
def test_a_folder_without_a_tokenizer_takes_tokens_and_says_what_texts_need(
    name: str, tmp_path: Path
) -> None:
    import remuda

    golden.load(name).write_folder(tmp_path)
    with remuda.Model(tmp_path, cache_type="f32") as model:
        assert len(model.logits(TOKENS[:4])) == 4
        with pytest.raises(remuda.Error, match=r"tokenizer\.json"):
            model.generate("a text", 1)


def test_logits_agree_with_llama_cpp(model: Golden, tmp_path: Path) -> None:
    for dtype in ["F32", "F16"]:
        model.write(tmp_path / "m.gguf", dtype)
        chooses = "expert_count" in model.case.keys
        assert beside_llama_cpp(tmp_path / "m.gguf", chooses=chooses) <= PLAIN_BOUND, dtype


@pytest.mark.parametrize("arch", sorted(direct.CASES))
def test_files_of_other_architectures_agree_with_llama_cpp(arch: str, tmp_path: Path) -> None:
    for dtype in ["F32", "F16"]:
        direct.write(arch, tmp_path / "m.gguf", dtype)
        chooses = "expert_count" in direct.CASES[arch].keys
        assert beside_llama_cpp(tmp_path / "m.gguf", chooses=chooses) <= PLAIN_BOUND, dtype


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("llama") / "m.gguf"
    golden.load("llama").write(path)
    return path


@pytest.mark.parametrize("name", quantised.TYPES)
def test_types_are_as_near_to_their_decoded_weights_as_in_llama_cpp(
    name: str, llama: Path, tmp_path: Path
) -> None:
    pytest.importorskip("llama_cpp")
    packed, decoded = tmp_path / "packed.gguf", tmp_path / "decoded.gguf"
    quantised.quantise(llama, packed, name)
    quantised.decode(packed, decoded)
    want = llama_cpp_logits(decoded)
    theirs = divergences(want, llama_cpp_logits(packed)).mean()
    got = divergences(want, remuda_logits(packed)).mean()
    assert got <= max(QUANTISED_BOUND, ROUNDING * theirs)


def test_a_cache_of_f16_changes_little(llama: Path) -> None:
    want = remuda_logits(llama, cache="f32")
    assert divergence(want, remuda_logits(llama, cache="f16")) <= PLAIN_BOUND


@pytest.mark.parametrize(("cache", "kind"), [("q8_0", 8), ("q4_0", 2)])
def test_quantised_caches_lose_no_more_than_those_of_llama_cpp(
    llama: Path, cache: str, kind: int
) -> None:
    want = remuda_logits(llama, cache="f32")
    theirs = llama_cpp_logits(llama, type_k=kind, type_v=kind, flash_attn=True)
    got = remuda_logits(llama, cache=cache)
    assert divergences(want, got).mean() <= divergences(want, theirs).mean()


def test_greedy_tokens_are_those_of_transformers(llama: Path) -> None:
    want = golden.answers()
    got = list(open_model(llama, cache="f32").greedy(TOKENS[:PROMPT], STEPS))
    assert len(got) == STEPS
    differs = (at for at in range(STEPS) if got[at] != want.greedy[at])
    first = next(differs, None)
    # What follows another token is another text.
    assert first is None or want.ahead[first] < 1e-3, first


def test_many_sequences_at_once_give_what_each_gives_alone(llama: Path) -> None:
    path = llama
    prompts = [TOKENS[at : at + 10 + 7 * at] for at in range(6)]
    alone = [list(open_model(path, cache="f32").greedy(prompt, 24)) for prompt in prompts]
    together = open_model(path, cache="f32", n_seq=4, n_batch=16)
    running = [together.greedy(prompt, 24) for prompt in prompts]
    assert [list(generation) for generation in running] == alone


def test_a_second_prompt_reuses_the_start_of_the_first(llama: Path) -> None:
    path = llama
    model = open_model(path, cache="f32", n_seq=2)
    first = list(model.greedy(TOKENS[:60], 8))
    again = list(model.greedy(TOKENS[:60], 8))
    longer = list(model.greedy(TOKENS[:60] + first, 8))
    fresh = list(open_model(path, cache="f32").greedy(TOKENS[:60] + first, 8))
    assert (again, longer) == (first, fresh)


def test_generations_end_when_closed_and_bad_prompts_are_refused(llama: Path) -> None:
    import remuda

    path = llama
    model = open_model(path, n_ctx=128)
    generation = model.greedy(TOKENS[:5])
    next(generation)
    generation.close()
    assert list(generation) == []
    with pytest.raises(remuda.InputError, match="not in the vocabulary of 320"):
        list(model.greedy([VOCABULARY]))
    with pytest.raises(remuda.InputError, match="200 tokens, the context has room for 128"):
        list(model.greedy(TOKENS * 2, 1))
    with pytest.raises(remuda.InputError, match="the prompt is empty"):
        list(model.greedy([], 1))
    assert len(list(model.greedy(TOKENS[:5]))) == 123


def test_log_probabilities_are_those_of_transformers(llama: Path) -> None:
    got = open_model(llama, cache="f32").log_probabilities(TOKENS)
    np.testing.assert_allclose(got, golden.answers().log_probabilities, atol=1e-4)


def test_perplexity_is_that_of_the_probabilities(llama: Path) -> None:
    import remuda

    loss = -golden.answers().log_probabilities[50:].mean()
    with remuda.Model(llama, cache_type="f32") as model:
        assert model.info["architecture"] == "llama"
        assert model.perplexity(TOKENS) == pytest.approx(float(np.exp(loss)), rel=1e-4)
    with pytest.raises(remuda.InputError, match="the model is closed"):
        model.perplexity(TOKENS)


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    import remuda

    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "lama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(remuda.UnsupportedError, match=r"`lama` is not supported.*`llama`"):
        open_model(tmp_path / "m.gguf")
