"""From a run and a file of labelled records to a model of a task, and to what it is worth."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers.extending import ran
from helpers.paths import ROOT
from helpers.untrained import learned_run
from transformers import pipeline

from dslm.commands.main import dispatch
from dslm.errors import UserError
from dslm.metrics.classification import accuracy
from dslm.metrics.entities import counts, entities, scores
from dslm.report import write_report
from dslm.run.results import read_evaluations

pytestmark = pytest.mark.ranks
SETTINGS = "steps=80 log_interval=20 lr=1e-2 batch=16 model.dropout=0.1"


def record(draw: random.Random) -> dict[str, Any]:
    """Words, of which numbers are tagged, and whether one is the number 7."""
    words = draw.choices(["plus", "is", "7", "1", "5"], k=draw.randint(1, 4))
    tags = ["B-num" if word.isdigit() else "O" for word in words]
    label = "seven" if "7" in words else "none"
    return {"text": " ".join(words), "label": label, "words": words, "tags": tags}


def write(path: Path, seed: int, count: int, *more: Any) -> Path:
    draw = random.Random(seed)
    lines = [*(record(draw) for _ in range(count)), *more]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, shard_set: Path, deepspeed_file: Path) -> Path:
    """A run that has learned a little of the language of these words."""
    folder = tmp_path_factory.mktemp("start") / "run"
    return learned_run(folder, shard_set, deepspeed_file, "model.sequence=32")


@pytest.fixture(scope="module", params=["classification", "tagging"])
def tuned(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    start: Path,
    deepspeed_file: Path,
) -> tuple[str, Path, str]:
    """The task, the run and what was said."""
    folder = tmp_path_factory.mktemp(request.param)
    broken = {"text": "1", "words": ["1"]}
    train = write(folder / "train.jsonl", 1, 400, broken)
    words = [str(start), "--task", request.param, f"data.train={train}", *SETTINGS.split()]
    words += [f"run={folder / 'run'}", f"data.validation={write(folder / 'dev.jsonl', 2, 50)}"]
    ended = ran(ROOT, "launch/fine_tune.py", *words, "--deepspeed_config", str(deepspeed_file))
    assert ended.returncode == 0, ended.stderr
    return request.param, folder / "run", ended.stdout + ended.stderr


def test_the_records_left_out_and_the_weights_taken_are_named(
    tuned: tuple[str, Path, str],
) -> None:
    task, _, said = tuned
    missing = {"classification": "label", "tagging": "tags"}[task]
    assert "train.jsonl: 400 examples, 2 classes" in said
    assert f"train.jsonl:401: has no {missing}" in said
    assert "newly initialized: ClassHead" in said


def test_metrics_are_those_of_the_predictions(
    tuned: tuple[str, Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, run, _ = tuned
    test, written = write(tmp_path / "test.jsonl", 3, 60), tmp_path / "predictions.jsonl"
    dispatch(["evaluate", str(run), "--data", str(test), "--json", "--predictions", str(written)])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    lines = [json.loads(line) for line in written.read_text().splitlines()]
    records = [json.loads(line) for line in test.read_text().splitlines()]
    gold, predicted = ([line[key] for line in lines] for key in ("label", "predicted"))
    assert found["records"] == len(lines) == 60
    if task == "classification":
        assert gold == [one["label"] for one in records]
        name, value = "accuracy", accuracy(gold, predicted)
    else:
        assert gold == [one["tags"] for one in records]
        sides = [[entities(tags) for tags in side] for side in (gold, predicted)]
        name, value = "f1", scores(counts(sides[0], sides[1])).f1
    assert found[name] == pytest.approx(value)
    assert value > 0.8
    low, high = found[f"{name}_95"]
    assert low <= value <= high
    kept = read_evaluations(run)[-1]
    assert kept[name] == pytest.approx(value)
    wrong = {
        one["text"]
        for one, *pair in zip(records, gold, predicted, strict=True)
        if pair[0] != pair[1]
    }
    answers = kept["answers"]
    assert (answers["records"], answers["wrong"] > 0) == (60, bool(wrong))
    assert {one["text"] for one in answers["errors"]} <= wrong
    losses = [one["loss"] for one in answers["errors"]]
    assert losses == sorted(losses, reverse=True)
    if task == "classification":
        pairs = Counter(zip(gold, predicted, strict=True))
        names = answers["confusion"]["classes"]
        assert answers["confusion"]["rows"] == [[pairs[a, b] for b in names] for a in names]
    else:
        assert [row[0] for row in answers["kinds"]] == ["num"]
        assert answers["kinds"][0][3] == pytest.approx(value)
    page = write_report(run).read_text()
    assert f"answered {answers['wrong']} of 60 records of " in page


def test_what_is_not_of_the_task_is_refused(
    tuned: tuple[str, Path, str], shard_set: Path, tmp_path: Path
) -> None:
    task, run, _ = tuned
    with pytest.raises(UserError, match=f"holds text, not examples for {task}"):
        dispatch(["evaluate", str(run), "--data", str(shard_set)])
    with pytest.raises(UserError, match=rf"objective.kind = {task}"):
        dispatch(["generate", str(run), "--prompt", "1 plus"])


def test_transformers_says_of_records_what_was_learned(
    tuned: tuple[str, Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, run, _ = tuned
    test, written = write(tmp_path / "test.jsonl", 4, 30), tmp_path / "predictions.jsonl"
    dispatch(["evaluate", str(run), "--data", str(test), "--predictions", str(written)])
    dispatch(["hub", "export", str(run), str(tmp_path / "out")])
    assert "rows of data.validation" in capsys.readouterr().out
    ours = [json.loads(line)["predicted"] for line in written.read_text().splitlines()]
    records = [json.loads(line) for line in test.read_text().splitlines()]
    kind = {"classification": "text-classification", "tagging": "token-classification"}[task]
    theirs = pipeline(kind, str(tmp_path / "out"))
    if task == "classification":
        found = theirs([one["text"] for one in records], batch_size=8)
        assert [one["label"] for one in found] == ours
        return
    for one, tags in zip(records, ours, strict=True):
        # A piece begins with the space before its word.
        ends = {len(" ".join(one["words"][:n])) for n in range(len(tags))}
        found = theirs(one["text"], ignore_labels=[])
        assert [token["entity"] for token in found if token["start"] in ends] == tags


def test_what_a_launcher_says_before_the_run_is_not_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[list[str]] = []
    monkeypatch.setattr("dslm.commands.pretrain.main", trained.append)
    words = ["runs/a", "--task", "tagging", "data.train=shards/a", "steps=5"]
    for rank in (["--local_rank=1"], ["--local-rank", "1"], []):
        dispatch(["fine-tune", *rank, *words])
    wanted = ["fine_tune", "init_from=runs/a", "objective.kind=tagging", *words[3:]]
    assert trained == [wanted] * 3
