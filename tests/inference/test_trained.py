"""A run folder, read back without DeepSpeed: measured on every token, and asked."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.untrained import untrained_run
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from dslm.commands import evaluate as evaluate_command
from dslm.commands import generate as generate_command
from dslm.commands.cli import run
from dslm.errors import CheckpointError, DataError, UserError
from dslm.inference.evaluate import evaluate
from dslm.inference.trained import Trained, load
from dslm.model.transformer import Transformer
from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.run.checkpoint import layer_file, read_weights, verify_sizes
from dslm.shards.shard_set import ShardSet


@pytest.fixture
def run_folder(tmp_path: Path, shard_set: Path, deepspeed_file: Path) -> Path:
    return untrained_run(tmp_path / "run", shard_set, deepspeed_file)


def test_the_loss_is_that_of_every_token_but_the_first(run_folder: Path, shard_set: Path) -> None:
    trained, shards = load(run_folder), ShardSet.open(shard_set)
    result = evaluate(trained, shards)
    nats = nats_of(trained, shards)
    assert result.tokens == shards.tokens - 1
    assert result.loss == pytest.approx(nats / result.tokens, rel=1e-5)
    assert result.perplexity == pytest.approx(math.exp(result.loss))
    assert result.bits_per_byte == pytest.approx(nats / math.log(2) / shards.text_bytes, rel=1e-5)


@pytest.mark.parametrize("rest", [1, 2, 3, 5, 23])
def test_a_text_is_measured_as_it_is_even_if_its_middle_was_learned(
    rest: int, tmp_path: Path, shard_set: Path, deepspeed_file: Path, make_shards: Any
) -> None:
    """However many tokens are left for the last row."""
    text = (shard_set.parent / "text.txt").read_text()
    held_out = ShardSet.open(make_shards(text[: 24 * 20] + text[: rest + 1]))
    words = ["objective.causal.fill_in_middle=0.5", "model.initialization=0.3"]
    trained = load(untrained_run(tmp_path / "run", held_out.folder, deepspeed_file, *words))
    result, nats = evaluate(trained, held_out), nats_of(trained, held_out)
    assert result.loss == pytest.approx(nats / (held_out.tokens - 1), rel=1e-5)
    assert result.perplexity == pytest.approx(math.exp(result.loss))
    assert result.bits_per_byte == pytest.approx(nats / math.log(2) / held_out.text_bytes, rel=1e-5)
    assert list(result.measures) == ["fim_loss"]
    assert abs(result.measures["fim_loss"] - result.loss) > 1e-4


@pytest.mark.parametrize("kind", ["causal", "masked", "denoising"])
def test_a_text_in_which_there_is_nothing_to_predict_has_no_loss(
    kind: str, tmp_path: Path, shard_set: Path, deepspeed_file: Path
) -> None:
    trained = load(
        untrained_run(tmp_path / "run", shard_set, deepspeed_file, f"objective.kind={kind}")
    )
    (tmp_path / "short.txt").write_text((shard_set.parent / "text.txt").read_text()[:4])
    settings = ShardingConfig(ShardSet.open(shard_set).tokenizer)
    held_out, _ = shard([tmp_path / "short.txt"], tmp_path / "held_out", settings)
    if kind == "causal":  # which predicts all tokens but the first, however few
        assert evaluate(trained, held_out).tokens == held_out.tokens - 1
        return
    with pytest.raises(DataError, match="holds nothing to predict: it is shorter than a row"):
        evaluate(trained, held_out)


def nats_of(trained: Trained, shards: ShardSet) -> float:
    """What a text costs, window by window."""
    tokens = torch.from_numpy(shards.windows(torch.zeros(1).long().numpy(), shards.tokens)).long()[
        0
    ]
    nats, sequence = 0.0, trained.config.model.sequence
    for start in range(0, len(tokens) - 1, sequence):
        window = tokens[start : start + sequence + 1]
        scores = trained.model(window[None, :-1])[0]
        nats += float(F.cross_entropy(scores, window[1:], reduction="sum").detach())
    return nats


class Draws(TorchDispatchMode):
    """Counts the tensors that are filled with random numbers."""

    count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        self.count += torch.Tag.nondeterministic_seeded in function.tags
        return function(*arguments, **(named or {}))


def test_a_model_is_read_without_being_drawn_or_held_twice(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: dict[str, torch.Tensor] = {}

    def noted(folder: Path, layers: list[int]) -> dict[str, torch.Tensor]:
        read.update(read_weights(folder, layers))
        return read

    monkeypatch.setattr("dslm.inference.trained.read_weights", noted)
    with Draws() as draws:
        model = load(run_folder).model
    assert draws.count == 0
    with Draws() as draws:
        Transformer([call for _, call in model.calls])
    assert draws.count > 0
    weights = dict(model.layers.named_parameters())
    assert weights.keys() == read.keys()
    for name, weight in weights.items():
        assert weight.data_ptr() == read[name].data_ptr()


def test_the_command_prints_one_json_object(
    run_folder: Path, shard_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(run_folder), "--data", str(shard_set), "--json"]
    assert run(evaluate_command.main, words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {"loss", "perplexity", "bits_per_byte", "tokens"} <= printed.keys()
    assert printed["step"] == 7


def test_the_same_seed_writes_the_same_text(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(run_folder), "--prompt", "1 plus", "--max-new-tokens", "40", "--seed", "3"]
    texts = []
    for _ in range(2):
        assert run(generate_command.main, words) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert texts[0].startswith("1 plus")
    assert len(texts[0].rstrip("\n")) == len("1 plus") + 40


def test_an_unknown_character_of_the_prompt_is_named(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(generate_command.main, [str(run_folder), "--prompt", "Ω"]) == 2
    assert "Ω" in capsys.readouterr().err


@pytest.mark.parametrize("mask", ["<mask>", "[MASK]"])
def test_a_mask_that_the_tokenizer_can_read_is_text_to_a_model_that_fills_none(
    mask: str,
    tmp_path: Path,
    make_shards: Any,
    deepspeed_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shards = make_shards(f"a tag such as {mask} is a word here " * 40)
    folder = untrained_run(tmp_path / "run", shards, deepspeed_file)
    words = [str(folder), "--max-new-tokens", "3", "--prompt"]
    assert run(generate_command.main, [*words, f"a {mask} is"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"a {mask} is")
    assert f"warning: --prompt: this model continues a text and fills no masks: {mask} is read" in (
        printed.err
    )
    assert run(generate_command.main, [*words, "a word"]) == 0
    assert capsys.readouterr().err == ""


def test_an_empty_prompt_needs_a_tokenizer_that_can_begin_a_document(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(generate_command.main, [str(run_folder)]) == 2
    assert "--prompt" in capsys.readouterr().err


def test_shards_of_another_tokenizer_are_refused(run_folder: Path, make_shards: Any) -> None:
    with pytest.raises(DataError, match="another tokenizer than the model's"):
        evaluate(
            load(run_folder), ShardSet.open(make_shards("quite another text, with other letters"))
        )


def test_a_damaged_checkpoint_is_refused_with_its_file(run_folder: Path) -> None:
    file = run_folder / "checkpoints/step-00000007" / layer_file(2, False)
    content = bytearray(file.read_bytes())
    content[-3] ^= 4
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"layer-0002\.safetensors: is damaged"):
        load(run_folder)


def with_moments(run: Path) -> Path:
    """The checkpoint of a run, whose manifest names a file of moments that is not there."""
    checkpoint = run / "checkpoints/step-00000007"
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    manifest["files"][layer_file(2, True)] = {"bytes": 8, "sha256": "0" * 64}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    return checkpoint


def test_what_only_training_needs_may_be_damaged(run_folder: Path) -> None:
    checkpoint = with_moments(run_folder)
    assert [problem.rule for problem in verify_sizes(checkpoint)] == ["is missing"]
    assert load(run_folder).step == 7


@pytest.mark.parametrize("file", [layer_file(2, False), "state.json"])
def test_damage_is_reported_with_a_step_that_is_whole(file: str, run_folder: Path) -> None:
    checkpoints = run_folder / "checkpoints"
    shutil.copytree(checkpoints / "step-00000007", checkpoints / "step-00000012")
    damaged = checkpoints / "step-00000012" / file
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 4]))
    fix = f"use --step 7; dslm checkpoint verify {run_folder} looks for all damage"
    with pytest.raises(CheckpointError, match=f"{re.escape(file)}: is damaged: .*; {fix}$"):
        load(run_folder)


def test_everything_wrong_with_a_command_is_reported_at_once(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--data nowhere --step 3 --scheme w5 --group-size few --calibration-rows 9"
    assert run(evaluate_command.main, [str(run_folder), *words.split()]) == 2
    lines = capsys.readouterr().err.splitlines()
    named = ["--scheme", "--group-size", "--calibration-rows", str(run_folder), "--data"]
    assert len(lines) == len(named)
    for line, name in zip(lines, named, strict=True):
        assert line.startswith(f"error: {name}")


def test_a_step_that_is_not_there_is_reported_with_those_that_are(run_folder: Path) -> None:
    with pytest.raises(UserError, match="has no checkpoint of step 3; choose from 7"):
        load(run_folder, 3)


def test_a_folder_that_is_no_run_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not the folder of a run"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (math.nan, "of its weights, 0.embedding.weight among them, are not finite"),
        (math.inf, "of its weights, 0.embedding.weight among them, are not finite"),
        (1e38, "its (loss is nan|scores are not finite)"),
    ],
)
def test_a_model_that_has_diverged_gives_neither_figures_nor_text(
    factor: float,
    message: str,
    tmp_path: Path,
    shard_set: Path,
    deepspeed_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = str(untrained_run(tmp_path / "run", shard_set, deepspeed_file, factor=factor))
    for command, *words in (
        (evaluate_command.main, "--data", str(shard_set), "--json"),
        (generate_command.main, "--prompt", "1 plus"),
        (generate_command.main, "--prompt", "1 plus", "--temperature", "0"),
    ):
        assert run(command, [folder, *words]) == 2
        printed = capsys.readouterr()
        assert not printed.out
        assert re.search(f"error: the model: .*{message}: the run had diverged", printed.err)
