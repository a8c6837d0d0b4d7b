"""Our runs as `transformers` loads them: the same scores, ids and continuations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.exports import TOKENS, ours, theirs
from helpers.hub import settings_of, text
from helpers.models import LLAMA, LSTM
from transformers import AutoModelForCausalLM, AutoTokenizer

from dslm.commands.cli import run as run_command
from dslm.commands.hub import main
from dslm.errors import TrainingError, UserError
from dslm.hub import model_folder
from dslm.hub.exporting import export_run
from dslm.hub.importing import import_folder
from dslm.inference.complete import complete
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import load
from dslm.model.quantize import rounded_weights
from dslm.quantization.config import QuantizationConfig

MakeRun = Callable[..., Path]
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "gpt2 untied": {"tied": False, "feed_forward": 40, "activation": "gelu"},
    "llama": LLAMA,
    "llama untied": {**LLAMA, "tied": False, "rotary_base": 700.0},
    "llama of one group": {**LLAMA, "key_value_heads": 1, "bias": True},
}
KINDS = ["unigram", "bpe", "char"]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_exported_model_gives_our_logits(
    shape: str, make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES[shape])
    assert export_run(run, tmp_path / "out").manifest.proof.score_difference <= 1e-5
    assert float((theirs(tmp_path / "out") - ours(run)).abs().max()) <= 1e-5


@pytest.mark.parametrize(
    ("scheme", "layers"), [("w8a8", "all"), ("w4a8", "blocks"), ("w3", "all"), ("w2", "linear")]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_rounded_weights_are_exported_rounded(
    shape: str,
    scheme: Any,
    layers: Any,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES[shape])
    how = QuantizationConfig(scheme=scheme, group_size=8, layers=layers)
    exported = export_run(run, tmp_path / "out", quantization=how)
    assert exported.manifest.quantization == how
    model = load(run, None, QuantizationConfig(), to_use=False).model
    weights = rounded_weights(load(run, None, how, to_use=False).model)
    with torch.no_grad():
        floats = model(TOKENS)
        model.load_state_dict(weights, strict=False)
        rounded = model(TOKENS)
    assert float((theirs(tmp_path / "out") - rounded).abs().max()) <= 1e-5
    assert float((floats - rounded).abs().max()) > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_tokenizer_gives_our_ids(
    kind: str, make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers[kind])
    export_run(run, tmp_path / "out")
    other, own = AutoTokenizer.from_pretrained(tmp_path / "out"), load(run).tokenizer
    for seed in range(30):
        sample = text(seed, 60)
        ids = own.encode([sample])[0].tolist()
        assert other(sample).input_ids == ids
        assert other.decode(ids) == sample


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padding", [0, 50])
def test_transformers_continues_a_text_as_we_do(
    kind: str,
    padding: int,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run = make_run(trained_tokenizers[kind], padding, **LLAMA)
    export_run(run, tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    for prompt in ("the river", "under", "falls\n  of light"):
        tokens = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        room = 32 - tokens.input_ids.shape[1]
        made = model.generate(**tokens, max_new_tokens=room, do_sample=False)
        continued = complete(load(run), prompt, room, SamplingConfig(temperature=0))
        assert continued == tokenizer.decode(made[0], skip_special_tokens=True)


def test_special_tokens_are_reported_by_id_and_by_name(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["unigram"])
    export_run(run, tmp_path / "out")
    written = settings_of(tmp_path / "out")
    assert [written[f"{name}_token_id"] for name in ("bos", "eos", "pad")] == [1, 1, 2]
    other = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert (other.eos_token_id, other.pad_token_id, other.mask_token_id) == (1, 2, 5)
    assert (other.model_max_length, other.eos_token) == (32, "<eos>")


def test_characters_have_no_special_tokens_and_say_so(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    export_run(make_run(trained_tokenizers["char"]), tmp_path / "out")
    config = AutoModelForCausalLM.from_pretrained(tmp_path / "out").config
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (None, None, None)


@pytest.mark.parametrize(
    ("shape", "keys"),
    [
        ({"norm_position": "post"}, ["model.norm_position"]),
        ({"positions": "sinusoidal"}, ["model.positions"]),
        ({"positions": "none"}, ["model.positions"]),
        ({"bias": False}, ["model.bias"]),
        ({"key_value_heads": 2}, ["model.key_value_heads"]),
        ({**LLAMA, "activation": "gelu"}, ["model.activation"]),
        ({**LLAMA, "norm": "layer"}, ["model.norm"]),
        ({"norm": "rms", "activation": "swiglu"}, ["model.positions"]),
    ],
)
def test_a_model_that_no_family_can_express_is_refused_with_the_key(
    shape: dict[str, Any],
    keys: list[str],
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError) as caught:
        export_run(make_run(trained_tokenizers["char"], **shape), tmp_path / "out")
    assert [problem.where for problem in caught.value.problems] == keys
    assert "has only" in str(caught.value) or "as many heads" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_recurrent_model_is_refused_in_one_sentence(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        export_run(make_run(trained_tokenizers["char"], **LSTM), tmp_path / "out")
    assert str(caught.value) == (
        "model.block = 'lstm': no model family that dslm can export to has recurrent layers"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["floats", "gguf"])
def test_one_stack_that_restores_texts_is_no_causal_model(
    format: str, make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["bpe"], 200, {"kind": "denoising"})
    with pytest.raises(UserError) as caught:
        export_run(run, tmp_path / "out", format=format)
    assert [problem.where for problem in caught.value.problems] == ["objective.kind"]
    assert "sees a source whole" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_scores_that_differ_leave_nothing(
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(trained_tokenizers["char"])
    written = model_folder.write_settings

    def wrongly(*arguments: Any) -> dict[str, Any]:
        return {**written(*arguments), "layer_norm_epsilon": 1e-2}

    monkeypatch.setattr(model_folder, "write_settings", wrongly)
    with pytest.raises(TrainingError, match="loss differs from the run's by"):
        export_run(run, tmp_path / "here" / "out")
    assert list((tmp_path / "here").iterdir()) == []


def test_the_command_says_how_near_the_scores_are(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path, capsys: Any
) -> None:
    words = ["export", str(make_run(trained_tokenizers["char"])), str(tmp_path / "out")]
    assert run_command(main, words) == 0
    said = capsys.readouterr().out
    assert "in the run: 0 apart (scores 0)" in said
    assert "random tokens, as no shards of the run were found that fit it" in said
    assert run_command(main, words) == 2
    assert "is there already; remove it or choose another FOLDER" in capsys.readouterr().err
    files = {"config.json", "dslm_export.json", "generation_config.json", "model.safetensors"}
    assert {f.name for f in (tmp_path / "out").iterdir()} == {
        *files,
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert json.loads((tmp_path / "out/config.json").read_text())["dtype"] == "float32"


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_exported_comes_back_as_the_same_model(
    kind: str, make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers[kind], 3, **LLAMA)
    export_run(run, tmp_path / "out")
    import_folder(tmp_path / "out", tmp_path / "again")
    before, after = load(run), load(tmp_path / "again")
    assert after.config.model.vocabulary == before.config.model.vocabulary
    sample = text(4, 50)
    ids = [trained.tokenizer.encode([sample])[0].tolist() for trained in (before, after)]
    assert ids[0] == ids[1]
    tokens = torch.tensor([ids[0][:32]])
    assert torch.equal(before.model(tokens), after.model(tokens))
    assert after.tokenizer.end_of_document == before.tokenizer.end_of_document


def test_a_character_that_came_back_unknown_is_reported(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    export_run(make_run(trained_tokenizers["char"]), tmp_path / "out")
    import_folder(tmp_path / "out", tmp_path / "again")
    with pytest.raises(UserError, match="text 'Ω': the tokenizer has no ids for it"):
        load(tmp_path / "again").tokenizer.encode(["Ω"])


def test_a_model_and_a_tokenizer_that_cannot_be_written_are_reported_together(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["bpe"] / "tokenizer.model", positions="none")
    with pytest.raises(UserError) as caught:
        export_run(run, tmp_path / "out")
    assert [problem.where for problem in caught.value.problems] == ["model.positions", "tokenizer"]
