"""Language models compared with transformers and, on the same files, with llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

gguf = pytest.importorskip("gguf")
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from remuda import _core  # noqa: E402

from language import direct, quantised  # noqa: E402
from language.files import build, write  # noqa: E402
from language.models import CASES, VOCABULARY  # noqa: E402

Floats = NDArray[np.float64]

STEPS = 256
TOKENS = [int(token) for token in np.random.default_rng(3).integers(2, VOCABULARY, 100)]

# Divergence per token: what rounding of the cache and of the sums may do.
PLAIN_BOUND = 1e-4
QUANTISED_BOUND = 1e-3


def divergences(want: Floats, got: Floats) -> Floats:
    """The Kullback-Leibler divergence of each row."""

    def log_softmax(rows: Floats) -> Floats:
        shifted = rows - rows.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

    p, q = log_softmax(want.astype(np.float64)), log_softmax(got.astype(np.float64))
    return np.asarray((np.exp(p) * (p - q)).sum(axis=-1))


def divergence(want: Floats, got: Floats) -> float:
    """The largest divergence of any row."""
    return float(divergences(want, got).max())


def open_model(path: Path, **options: Any) -> Any:
    return _core.LanguageModel(_core.Runtime(["cpu"], 2), path, **options)


def remuda_logits(path: Path, **options: Any) -> Floats:
    return np.asarray(open_model(path, **options).logits(TOKENS))


@pytest.fixture(scope="module", params=sorted(CASES))
def model(request: pytest.FixtureRequest) -> Any:
    return request.param, build(CASES[request.param])


def test_logits_agree_with_transformers(model: Any, tmp_path: Path) -> None:
    name, reference = model
    write(CASES[name], reference, tmp_path / "m.gguf")
    with torch.no_grad():
        want = reference(torch.tensor([TOKENS])).logits[0].numpy()
    got = remuda_logits(tmp_path / "m.gguf", cache="f32")
    assert want.std() > 0.1, "the model says something"
    assert divergence(want, got) <= PLAIN_BOUND
    pieces = remuda_logits(tmp_path / "m.gguf", cache="f32", n_batch=7)
    assert divergence(want, pieces) <= PLAIN_BOUND


# Families that folders are read of: the others keep weights in another order
# there, and the pinned transformers reads YaRN's configuration in a way of its own.
FOLDERS = sorted(set(CASES) - {"gpt2", "gptneox", "llama-yarn", "mixtral"})


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_give_the_logits_of_transformers(name: str, tmp_path: Path) -> None:
    reference = build(CASES[name])
    size = "60KB" if name == "qwen2" else "5GB"
    reference.save_pretrained(tmp_path, safe_serialization=True, max_shard_size=size)
    with torch.no_grad():
        want = reference(torch.tensor([TOKENS])).logits[0].numpy()
    assert divergence(want, remuda_logits(tmp_path, cache="f32")) <= PLAIN_BOUND


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


def llama_cpp_logits(path: Path, **options: Any) -> Floats:
    llama_cpp = pytest.importorskip("llama_cpp")
    params = {"n_ctx": 256, "n_batch": 256, "logits_all": True, "verbose": False, "n_threads": 2}
    llama = llama_cpp.Llama(str(path), **params, **options)
    llama.eval(TOKENS)
    logits = np.array(llama.scores[: len(TOKENS)], dtype=np.float64)
    llama.close()
    return logits


def test_logits_agree_with_llama_cpp(model: Any, tmp_path: Path) -> None:
    name, reference = model
    for dtype in ["F32", "F16"]:
        write(CASES[name], reference, tmp_path / "m.gguf", dtype)
        want = llama_cpp_logits(tmp_path / "m.gguf")
        assert divergence(want, remuda_logits(tmp_path / "m.gguf")) <= PLAIN_BOUND, dtype


def beside_llama_cpp(path: Path, *, chooses: bool = False) -> float:
    """The divergence from llama.cpp. A rounded cache may choose another of two experts that are nearly alike (within
    one engine, too), so that models which choose have caches of f32."""
    want = llama_cpp_logits(path, **({"type_k": 0, "type_v": 0} if chooses else {}))
    return divergence(want, remuda_logits(path, **({"cache": "f32"} if chooses else {})))


@pytest.mark.parametrize("arch", sorted(direct.CASES))
def test_files_of_other_architectures_agree_with_llama_cpp(arch: str, tmp_path: Path) -> None:
    for dtype in ["F32", "F16"]:
        direct.write(arch, tmp_path / "m.gguf", dtype)
        chooses = "expert_count" in direct.CASES[arch].keys
        assert beside_llama_cpp(tmp_path / "m.gguf", chooses=chooses) <= PLAIN_BOUND, dtype


@pytest.fixture(scope="module")
def plain_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "m.gguf"
    write(CASES["llama"], build(CASES["llama"]), path)
    return path


# Rows go into products in 8 bits where the type has kernels of its own, here as there, and each rounds in its own way.
ROUNDING = 1.1


@pytest.mark.parametrize("name", quantised.TYPES)
def test_types_are_as_near_to_their_decoded_weights_as_in_llama_cpp(
    name: str, plain_file: Path, tmp_path: Path
) -> None:
    pytest.importorskip("llama_cpp")
    packed, decoded = tmp_path / "packed.gguf", tmp_path / "decoded.gguf"
    quantised.quantise(plain_file, packed, name)
    quantised.decode(packed, decoded)
    want = llama_cpp_logits(decoded)
    theirs = divergences(want, llama_cpp_logits(packed)).mean()
    got = divergences(want, remuda_logits(packed)).mean()
    assert got <= max(QUANTISED_BOUND, ROUNDING * theirs)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("llama") / "m.gguf"
    reference = build(CASES["llama"])
    write(CASES["llama"], reference, path)
    return path, reference


def test_a_cache_of_f16_changes_little(llama: Any) -> None:
    path, _ = llama
    want = remuda_logits(path, cache="f32")
    assert divergence(want, remuda_logits(path, cache="f16")) <= PLAIN_BOUND


@pytest.mark.parametrize(("cache", "kind"), [("q8_0", 8), ("q4_0", 2)])
def test_quantised_caches_lose_no_more_than_those_of_llama_cpp(
    llama: Any, cache: str, kind: int
) -> None:
    path, _ = llama
    want = remuda_logits(path, cache="f32")
    theirs = llama_cpp_logits(path, type_k=kind, type_v=kind, flash_attn=True)
    got = remuda_logits(path, cache=cache)
    assert divergences(want, got).mean() <= divergences(want, theirs).mean()


def test_greedy_tokens_are_those_of_transformers(llama: Any) -> None:
    path, reference = llama
    own = open_model(path, cache="f32")
    got = list(own.greedy(TOKENS[:20], STEPS))
    tokens = list(TOKENS[:20])
    with torch.no_grad():
        for token in got:
            logits = reference(torch.tensor([tokens])).logits[0, -1]
            best = logits.topk(2)
            gap = float(best.values[0] - best.values[1])
            assert token == int(best.indices[0]) or gap < 1e-3
            tokens.append(token)
    assert len(got) == STEPS


def test_many_sequences_at_once_give_what_each_gives_alone(llama: Any) -> None:
    path, _ = llama
    prompts = [TOKENS[at : at + 10 + 7 * at] for at in range(6)]
    alone = [list(open_model(path, cache="f32").greedy(prompt, 24)) for prompt in prompts]
    together = open_model(path, cache="f32", n_seq=4, n_batch=16)
    running = [together.greedy(prompt, 24) for prompt in prompts]
    assert [list(generation) for generation in running] == alone


def test_a_second_prompt_reuses_the_start_of_the_first(llama: Any) -> None:
    path, _ = llama
    model = open_model(path, cache="f32", n_seq=2)
    first = list(model.greedy(TOKENS[:60], 8))
    again = list(model.greedy(TOKENS[:60], 8))
    longer = list(model.greedy(TOKENS[:60] + first, 8))
    fresh = list(open_model(path, cache="f32").greedy(TOKENS[:60] + first, 8))
    assert (again, longer) == (first, fresh)


def test_generations_end_when_closed_and_bad_prompts_are_refused(llama: Any) -> None:
    import remuda

    path, _ = llama
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


def test_log_probabilities_are_those_of_the_logits(llama: Any) -> None:
    path, reference = llama
    with torch.no_grad():
        logits = reference(torch.tensor([TOKENS])).logits[0].log_softmax(-1)
    want = [float(logits[at, token]) for at, token in enumerate(TOKENS[1:])]
    got = open_model(path, cache="f32").log_probabilities(TOKENS)
    np.testing.assert_allclose(got, want, atol=1e-4)


def test_perplexity_is_that_of_the_probabilities(llama: Any) -> None:
    import remuda

    path, reference = llama
    with torch.no_grad():
        logits = reference(torch.tensor([TOKENS])).logits[0, 50:-1]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(TOKENS[51:]))
    with remuda.Model(path, cache_type="f32") as model:
        assert model.info["architecture"] == "llama"
        assert model.perplexity(TOKENS) == pytest.approx(float(loss.exp()), rel=1e-4)
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
