"""Tasks are trained like language models: the same losses at any layout, and on from any other."""

from __future__ import annotations

import json
import random
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.compiling import compiled_at, traced
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch
from helpers.questions import letters_in, lines, stories
from helpers.untrained import untrained_run

from dslm.commands.main import dispatch
from dslm.config.parse import parse
from dslm.run.best import best
from dslm.tasks.coder import Coder
from dslm.tasks.example_set import Labelling, example_set
from dslm.tasks.questions import Questions
from dslm.tasks.questions_settings import QuestionsConfig
from dslm.tasks.registry import TASKS
from dslm.tokenizers.load import load_tokenizer

pytestmark = pytest.mark.ranks
SHAPE = "model.heads=2 model.width=16 model.sequence=24 log_interval=1 seed=3"
LAYOUTS = {
    "ZeRO-2": (2, 2, 1, 1),
    "ZeRO-3": (2, 3, 1, 1),
    "pipeline": (2, 1, 2, 1),
    "shared rows": (2, 2, 1, 2),
}
"""Ranks, ZeRO stage, pipeline stages and ranks that share each row."""
TUNED = {
    "classification": "model.layers=3 frozen=blocks.0 layer_rate_decay=0.8 label_smoothing=0.1 "
    "objective.classification.class_weights=balanced",
    "tagging": "model.layers=2 lora.rank=4 lora.alpha=2 lora.targets=all layer_rate_decay=0.9 "
    'objective.tagging.class_weights={"B-x":3}',
    "text_to_text": "model.layers=2",
}
"""What is asked of the training of each, so that every layout has done it."""
KINDS = {
    "classification": ["model.attention=full"],
    "tagging": ["model.attention=full"],
    "text_to_text": ["model.encoder_layers=1"],
}
"""The tasks, and what the model of each is."""
WORDS = ["stone", "river", "light", "dark", "falls", "never"]


def record(draw: random.Random) -> dict[str, Any]:
    words = draw.choices(WORDS, k=draw.randint(1, 4))
    tags = ["B-x" if word == "river" else "O" for word in words]
    label = "yes" if "river" in words else "no"
    texts = {"source": " ".join(words), "target": "stone" if label == "yes" else "light"}
    return {"text": " ".join(words), "label": label, "words": words, "tags": tags, **texts}


@pytest.fixture(scope="module", params=KINDS)
def trained(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    unigram: Path,
    deepspeed_file: Path,
) -> tuple[Ended, list[str]]:
    """Twenty steps on one rank, and the words that made them."""
    kind, folder = request.param, tmp_path_factory.mktemp(request.param)
    draw = random.Random(1)
    lines = [json.dumps(record(draw)) for _ in range(100)]
    (folder / "records.jsonl").write_text("\n".join(lines))
    task, tokenizer = TASKS[kind], load_tokenizer(unigram)
    full = "model.attention=full" in KINDS[kind]
    coder = Coder(tokenizer, full, 24, two_stacks=not full)
    how = Labelling(task, parse(task.config, {}), coder)
    data = example_set(folder / "records.jsonl", folder / "set", how).folder
    words = ["tiny", *SHAPE.split(), f"objective.kind={kind}", f"data.train={data}"]
    words += [f"data.validation={data}", *KINDS[kind], "schedule.kind=constant"]
    words += ["schedule.warmup_steps=2", "evaluation_interval=5", "checkpoint_interval=5", "keep=1"]
    words += TUNED[kind].split()
    if "lora.rank" in TUNED[kind]:  # adapters come to a model that is there
        shape = ["model.heads=2", "model.layers=2", f"objective.kind={kind}", *KINDS[kind]]
        words += [f"init_from={untrained_run(folder / 'base', data, deepspeed_file, *shape)}"]
    ended = launch(folder / "run", [*words, "steps=20"], deepspeed(0), 1)
    assert ended.code == 0, ended.messages
    return ended, words


def test_compiled_blocks_learn_a_task_as_plain_ones(
    trained: tuple[Ended, list[str]], tmp_path: Path
) -> None:
    """Though the rows of each batch are as long as the longest of them."""
    known, words = trained
    words, folder = [*words, "steps=20", "compile=true"], tmp_path / "compiled"
    ended = launch(folder, words, deepspeed(3), 2, 400, partial(traced, folder=folder))
    assert ended.code == 0, ended.messages
    assert ended.metrics() == pytest.approx(known.metrics(), rel=1e-4)
    assert compiled_at(ended) == [1]


def measured(ended: Ended) -> dict[str, list[float]]:
    """Every metric of every validation."""
    text = (ended.folder / "metrics.jsonl").read_text()
    lines = [*map(json.loads, text.splitlines())]
    held_out = [line for line in lines if "validation_loss" in line]
    return {name: [line[name] for line in held_out] for name in held_out[0] if name != "seconds"}


def test_the_checkpoint_that_is_kept_has_the_best_metric_and_evaluates_to_it(
    trained: tuple[Ended, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    ended, words = trained
    if "objective.kind=text_to_text" in words:  # has to be written to be measured
        losses = measured(ended)
        assert (
            best(ended.folder / "checkpoints")
            == min(zip(losses["validation_loss"], losses["step"], strict=True))[1]
        )
        return
    by = "f1" if "objective.kind=tagging" in words else "accuracy"
    found = measured(ended)
    pairs = zip(found[f"validation_{by}"], found["validation_loss"], found["step"], strict=True)
    metric, loss, step = min(pairs, key=lambda one: (-one[0], one[1]))
    assert best(ended.folder / "checkpoints") == step
    kept = {entry.name for entry in (ended.folder / "checkpoints").iterdir()}
    assert kept == {f"step-{step:08d}", "step-00000020"}
    assert f"the best by {by} kept" in ended.messages
    assert f"{by} {metric:.4f}" in ended.messages
    assert f"best     step {step}, {by} {metric:.4f} (loss {loss:.4f})" in ended.results
    data = next(word for word in words if word.startswith("data.validation=")).partition("=")[2]
    dispatch(["evaluate", str(ended.folder), "--data", data, "--step", "best", "--json"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["step"] == step
    assert figures["loss"] == pytest.approx(loss, abs=1e-6)
    for name in set(found) - {"step", "tokens", "validation_loss"}:
        at = found["step"].index(step)
        assert figures.get(name.removeprefix("validation_"), found[name][at]) == pytest.approx(
            found[name][at], abs=1e-6
        )
    dispatch(["checkpoint", "list", str(ended.folder)])
    table = capsys.readouterr().out
    assert f"{metric:.4f}" in next(line for line in table.splitlines() if "best" in line)


def test_a_task_is_learned(trained: tuple[Ended, list[str]]) -> None:
    losses = trained[0].metrics()
    assert losses[-1] < 0.8 * losses[0]
    assert trained[0].metrics("accuracy")[-1] > 0.6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_does_not_change_the_losses(
    layout: str, trained: tuple[Ended, list[str]], tmp_path: Path
) -> None:
    alone, words = trained
    ranks, stage, stages, shared = LAYOUTS[layout]
    spread = [f"pipeline_stages={stages}", f"sequence_parallel={shared}"]
    more = [*words, "steps=20", *spread]
    ended = launch(tmp_path / "run", more, deepspeed(stage), ranks)
    assert ended.code == 0, ended.messages
    assert ended.metrics()[0] == pytest.approx(alone.metrics()[0], abs=1e-6)
    assert ended.metrics() == pytest.approx(alone.metrics(), abs=1e-4)
    found, reference = measured(ended), measured(alone)
    assert len(found["validation_accuracy"]) == 4
    for name in reference:
        assert found[name] == pytest.approx(reference[name], abs=1e-4), name


def test_what_zero_2_began_a_pipeline_goes_on_with(
    trained: tuple[Ended, list[str]], tmp_path: Path
) -> None:
    whole, words = trained
    half = launch(tmp_path / "half", [*words, "steps=10"], deepspeed(2), 2)
    assert half.code == 0, half.messages
    shutil.copytree(half.folder, tmp_path / "run")
    more = [*words, "steps=20", "pipeline_stages=2"]
    resumed = launch(tmp_path / "run", more, deepspeed(1), 2)
    assert "from step 10" in resumed.messages
    assert resumed.metrics() == pytest.approx(whole.metrics(), abs=1e-4)


def test_windows_on_questions_are_learned_alike_at_any_layout(tmp_path: Path) -> None:
    tokenizer, records = letters_in(tmp_path), stories()
    lines(tmp_path / "records.jsonl", records)
    how = Labelling(Questions, QuestionsConfig(stride=4), Coder(tokenizer, True, 16))
    data = example_set(tmp_path / "records.jsonl", tmp_path / "set", how)
    assert data.documents > len(records)
    shape = SHAPE.replace("sequence=24", "sequence=16 model.segments=2 model.attention=full")
    words = ["tiny", *shape.split(), "objective.kind=questions", "objective.questions.stride=4"]
    words += [f"data.train={data.folder}", f"data.validation={data.folder}", "steps=6"]
    words.append("schedule.warmup_steps=2")
    losses = []
    for number, (ranks, stage, stages) in enumerate([(1, 0, 1), (2, 2, 1), (2, 1, 2)]):
        more = [*words, f"pipeline_stages={stages}"]
        ended = launch(tmp_path / f"run-{number}", more, deepspeed(stage), ranks)
        assert ended.code == 0, ended.messages
        losses.append(ended.metrics())
    assert losses[0][-1] < losses[0][0]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert losses[2] == pytest.approx(losses[0], abs=1e-4)
