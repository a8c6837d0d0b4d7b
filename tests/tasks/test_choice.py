"""Multiple choice: records, what an option is given, and scores without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.untrained import untrained_run

from dslm.commands.main import dispatch
from dslm.errors import UserError
from dslm.inference.scoring import score
from dslm.inference.selection import select
from dslm.inference.trained import load, load_selected
from dslm.objectives.base import Context
from dslm.tasks.choice import Choice, ChoiceConfig
from dslm.tasks.coder import Coder
from dslm.tasks.example import Prediction, UnusableError
from dslm.tasks.example_set import Labelling, example_set
from dslm.tasks.registry import TASKS
from dslm.tokenizers.vocabulary import Vocabulary

RECORDS: list[dict[str, Any]] = [
    {"question": "1 plus 1 is", "options": ["2", "37", "1 plus 3"], "answer": 0},
    {"question": "7 plus", "options": ["1 is 8", "is"], "answer": "B"},
    {"question": "5 is 5 is", "options": ["5", "is is is"], "answer": "5"},
]
UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"answer": 2}, "its answer is none of its options"),
    ({"answer": "C"}, "its answer is none of its options"),
    ({"answer": None}, "its answer is empty"),
    ({"options": ["1"]}, "its options are no list of two or more texts"),
    ({"options": ["1", ""]}, "its options are no list of two or more texts"),
    ({"options": ["1", None]}, "its options are no list of two or more texts"),
    ({"answer": True}, "its answer is none of its options"),
    ({"options": "1 2"}, "its options are no list of two or more texts"),
    ({"question": ""}, "its question is empty"),
    ({"question": "é"}, "character 'é' .* is not among the 17 characters of the tokenizer"),
    ({"options": ["1", "7 " * 100]}, "an option of it is longer than the model reads"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, shard_set: Path, deepspeed_file: Path) -> Path:
    """A model that has learned nothing."""
    folder = tmp_path_factory.mktemp("choice") / "run"
    return untrained_run(folder, shard_set, deepspeed_file, "model.sequence=48", factor=4.0)


@pytest.fixture(scope="module")
def coder(run: Path) -> Coder:
    return Coder(select(run).tokenizer, full=False, sequence=48)


def written(path: Path, found: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in found))
    return path


@pytest.mark.parametrize(("change", "reason"), UNUSABLE)
def test_a_record_that_cannot_be_used_says_why(
    change: dict[str, Any], reason: str, coder: Coder
) -> None:
    record = {**RECORDS[1], **change}
    with pytest.raises(UnusableError, match=reason):
        Choice.examples(ChoiceConfig(), record, (), coder)


@pytest.mark.parametrize(
    ("record", "settings", "right"),
    [
        (
            {"q": "7", "choices": {"text": ["1", "2"], "label": ["C", "D"]}, "key": "D"},
            "choices",
            1,
        ),
        ({"q": "7", "choices": {"text": ["1", "2"], "label": [1, 2]}, "key": 1}, "choices", 0),
        ({"q": "7", "choices": {"text": ["1", "2"], "label": 5}, "key": 1}, "choices", 1),
        ({"q": "7", "choices": ["1", "0"], "key": "1"}, "choices", 0),
        ({"q": "7", "choices": ["1", "0"], "key": 1}, "choices", 1),
        ({"q": "7", "choices": ["1", "2"], "key": "0"}, "choices", 0),
        ({"q": "7", "a": "1", "b": "2", "key": "B"}, "a, b", 1),
    ],
    ids=[
        "names",
        "names before places",
        "no names",
        "a text",
        "a place",
        "a place as text",
        "fields",
    ],
)
def test_options_and_answers_are_read_as_the_field_writes_them(
    record: dict[str, Any], settings: str, right: int, coder: Coder
) -> None:
    config = ChoiceConfig(prompt="{q}", options=settings, answer="key")
    found = Choice.examples(config, record, (), coder)
    assert [one.labels[1] for one in found] == [float(n == right) for n in range(len(found))]


def test_all_options_of_a_record_stand_behind_the_same_end_of_a_long_prompt(coder: Coder) -> None:
    record = {"question": "1 plus 7 is " * 30, "options": ["1", "1 plus 1"], "answer": 1}
    found = Choice.examples(ChoiceConfig(), record, (), coder)
    firsts = {int(one.labels[0]) for one in found}
    assert len(firsts) == 1
    assert len({tuple(one.ids[: min(firsts)]) for one in found}) == 1
    assert max(len(one.ids) for one in found) == 48
    assert all(one.shortened for one in found)


def test_an_option_is_given_what_the_model_gives_its_tokens(run: Path, tmp_path: Path) -> None:
    """By a plain pass over each text, one after the other."""
    trained = load(run)
    task = Choice(ChoiceConfig(), trained.objective.context)
    coder = Coder(trained.tokenizer, False, 48)
    how = Labelling(Choice, task.settings, coder)
    shards = example_set(written(tmp_path / "a.jsonl", RECORDS), tmp_path / "set", how)
    options = _options(select(run), "choice")
    scored = score(load_selected(options), task, shards, ())
    nats, tokens = 0.0, 0
    for record, (gold, found) in zip(RECORDS, scored.predictions, strict=True):
        for number, option in enumerate(record["options"]):
            before = coder.ids(record["question"])
            whole = [*coder.begin, *coder.ids(f"{record['question']} {option}")]
            first = len(coder.begin) + len(before)
            logs = trained.model(torch.tensor([whole]))[0].log_softmax(-1)
            expected = sum(logs[i - 1, whole[i]].item() for i in range(first, len(whole)))
            assert found["logs"][number] == pytest.approx(expected, abs=1e-4)
            if number == gold["right"]:
                nats, tokens = nats - expected, tokens + len(whole) - first
    assert [one.gold["right"] for one in scored.predictions] == [0, 1, 0]
    assert [one.gold["options"] for one in scored.predictions] == [r["options"] for r in RECORDS]
    assert scored.loss == pytest.approx(nats / tokens, abs=1e-5)
    sums = [np.array(one.found["logs"]) for one in scored.predictions]
    right = np.mean([one.argmax() == gold for one, gold in zip(sums, [0, 1, 0], strict=True)])
    assert scored.estimates["accuracy"].value == pytest.approx(right)


def _options(chosen: Any, kind: str) -> Any:
    """A selected run, measured on a task."""
    from argparse import Namespace

    from dslm.commands.task_options import for_task
    from dslm.errors import Problems

    found = Problems()
    made = for_task(chosen, Namespace(task=kind, words=[]), found)
    assert not found.problems
    return made


def test_a_run_of_text_is_measured_with_solved_records_before_each(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, solved = (written(tmp_path / f"{name}.jsonl", RECORDS) for name in ("a", "solved"))
    out = tmp_path / "predictions.jsonl"
    words = [str(run), "--task", "choice", "--data", str(data), "--json"]
    words += ["--shots", "2", "--shots-from", str(solved), "--predictions", str(out)]
    dispatch(["evaluate", *words, "objective.choice.between= is ", "objective.choice.separator= "])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["records"] == 3
    assert set(found) >= {
        "accuracy",
        "accuracy_95",
        "accuracy_by_byte",
        "calibration_error",
        "loss",
    }
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["label"] for line in lines] == [0, 1, 0]
    assert all(len(line["predicted"]["log_probabilities"]) > 1 for line in lines)


def test_everything_that_is_wrong_is_told_at_once(run: Path, tmp_path: Path) -> None:
    data, solved = (written(tmp_path / f"{name}.jsonl", RECORDS) for name in ("a", "solved"))
    words = [str(run), "--data", str(data), "--task", "choice"]
    with pytest.raises(UserError) as caught:
        dispatch(["evaluate", *words, "steps=5", "--shots", "9", "--shots-from", str(solved)])
    assert [problem.where for problem in caught.value.problems] == ["steps=5", "--shots-from"]
    with pytest.raises(UserError) as caught:
        dispatch(["evaluate", *words, "objective.choice.option=a"])
    (problem,) = caught.value.problems
    assert problem.where == "objective.choice.option"
    assert "options" in problem.fix
    with pytest.raises(UserError) as caught:
        dispatch(["evaluate", *words[:-1], "tagging"])
    (problem,) = caught.value.problems
    assert "fine_tune.py" in problem.fix
    with pytest.raises(UserError) as caught:
        dispatch(["evaluate", *words, "--shots", "1", "--shots-from", str(data)])
    (problem,) = caught.value.problems
    assert "behind their own answers" in problem.rule


def test_examples_that_are_made_are_not_changed(
    run: Path, coder: Coder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, solved = (written(tmp_path / f"{name}.jsonl", RECORDS) for name in ("a", "solved"))
    made = example_set(data, tmp_path / "set", Labelling(Choice, ChoiceConfig(), coder)).folder
    words = ["evaluate", str(run), "--task", "choice", "--data", str(made), "--json"]
    dispatch(words)
    whole = json.loads(capsys.readouterr().out)
    assert whole["records"] == 3
    more = ["--shots", "1", "--shots-from", str(solved), "objective.choice.between=-"]
    with pytest.raises(UserError) as caught:
        dispatch([*words, *more])
    wheres = [problem.where for problem in caught.value.problems]
    assert wheres == ["--shots", "objective.choice.between=-"]


def test_predictions_and_their_examples_are_told_apart() -> None:
    """Every kind of task: one group of examples for each prediction of a record."""
    context = Context(48, 0, False, Vocabulary(9, {"eos": 1, "sep": 2, "cls": 3}, Path()))
    parts = {
        "choice": [{"option": n, "right": 0, "text": "a"} for n in (0, 1, 0, 1, 2)],
        "text_to_text": [[{"targets": ["a"], "source": "b"}] * n for n in (1, 3, 2)],
    }
    for kind, references in parts.items():
        task = TASKS[kind](TASKS[kind].config(), context)
        count = sum(map(len, references)) if kind == "text_to_text" else len(references)
        found = [Prediction(None, "a" if kind == "text_to_text" else 0.5)] * count
        assert len(task.groups(references)) == len(task.of_records(found, references)), kind
