"""What validation measures follows from the task, and what is chosen by has to be measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dslm.config.parse import parse
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.run.check import check_run
from dslm.run.config import RunConfig
from dslm.run.settings import settings
from dslm.tasks.coder import Coder
from dslm.tasks.example_set import Labelling, example_set
from dslm.tasks.registry import TASKS
from dslm.tokenizers.load import load_tokenizer
from dslm.train.data import objective_of, open_sources
from dslm.train.validated import WINDOWS, check_validation, validation_rows, with_validation


@pytest.fixture
def examples(tmp_path: Path) -> Any:
    """Makes a set of examples for a task; equal letters in other records give other classes."""
    (tmp_path / "text").write_text("abcdefghijklmnopqrstuvwxyz ")
    train_tokenizer([tmp_path / "text"], tmp_path / "tokenizer", TokenizerConfig("char", None))
    coder = Coder(load_tokenizer(tmp_path / "tokenizer"), False, 16)

    def make(name: str, kind: str, *records: dict[str, Any]) -> Path:
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(f"{json.dumps(one)}\n" for one in records))
        how = Labelling(TASKS[kind], parse(TASKS[kind].config, {}), coder)
        return example_set(path, tmp_path / name, how).folder

    return make


def config_of(*words: str) -> RunConfig:
    usual = [] if any("windows" in word for word in words) else ["data.validation_windows=null"]
    return settings(["tiny", "run=a", *usual, *words], None)


def fitted(*words: str) -> tuple[RunConfig, list[str]]:
    """The settings with what follows from the data, and what is wrong with them."""
    config = config_of(*words)
    sources = open_sources(config.data)
    objective = objective_of(config, sources.train[0].tokenizer)
    config = with_validation(config, objective, sources)
    return config, [str(one) for one in check_validation(config, objective, sources)]


def of_texts(*labels: str) -> list[dict[str, Any]]:
    return [{"text": "ab", "label": label} for label in labels]


def test_a_task_is_measured_on_all_examples_and_chosen_by_its_first_metric(examples: Any) -> None:
    for kind, by, records in (
        ("classification", "accuracy", of_texts("yes", "no")),
        ("tagging", "f1", [{"words": ["a", "b"], "tags": ["O", "B-x"]}]),
        ("tagging", "accuracy", [{"words": ["a", "b"], "tags": ["NOUN", "VERB"]}]),
    ):
        folder = examples(f"{kind}-{by}", kind, *records)
        words = [f"data.train={folder}", f"data.validation={folder}", f"objective.kind={kind}"]
        config, problems = fitted(*words)
        assert (config.best_by, config.data.validation_windows, problems) == (by, None, [])
        assert validation_rows(config, 5000) == 5000
        config, problems = fitted(*words, "best_by=loss", "data.validation_windows=7")
        assert (config.best_by, validation_rows(config, 5000), problems) == ("loss", 7, [])
        config, problems = fitted(*words[:1], words[2])
        assert (config.best_by, problems) == (None, [])


def test_text_is_measured_on_some_windows_and_chosen_by_the_loss(shard_set: Path) -> None:
    words = [f"data.train={shard_set}", f"data.validation={shard_set}"]
    config, problems = fitted(*words)
    assert (config.best_by, validation_rows(config, 5000), problems) == (None, WINDOWS, [])
    _, (problem,) = fitted(*words, "best_by=accuracy")
    said = "best_by = 'accuracy': is not measured where objective.kind = causal; leave it out"
    assert problem == said


def test_what_is_not_measured_is_refused_with_what_is(examples: Any) -> None:
    folder = examples("a", "classification", *of_texts("yes", "no"))
    words = [f"data.train={folder}", f"data.validation={folder}", "objective.kind=classification"]
    _, (problem,) = fitted(*words, "best_by=f1")
    assert "choose from loss, accuracy, macro_f1, matthews" in problem
    (lacking,) = check_run(config_of(f"data.train={folder}", "best_by=accuracy"))
    assert (lacking.where, lacking.rule) == ("best_by", "needs a validation set")


def test_sets_whose_numbers_mean_other_classes_are_refused(examples: Any) -> None:
    train = examples("a", "classification", *of_texts("yes", "no"))
    other = examples("b", "classification", *of_texts("yes", "perhaps"))
    words = [f"data.train={train}", f"data.validation={other}", "objective.kind=classification"]
    _, (problem,) = fitted(*words)
    assert problem.startswith(
        f"{other}: its classes are perhaps, yes, but those trained on no, yes"
    )
    both = json.dumps([str(train), str(other)])
    _, (problem,) = fitted(f"data.train={both}", "objective.kind=classification")
    assert str(other) in problem
