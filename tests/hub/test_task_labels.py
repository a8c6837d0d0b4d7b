"""What a folder of `transformers` says of the labels of a task, and how its texts are framed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.hub import byte_level, change, settings_of
from tokenizers import Tokenizer

from dslm.commands import hub
from dslm.commands.cli import run as run_command
from dslm.errors import UserError
from dslm.hub.importing import import_folder
from dslm.inference.selection import classes_of
from dslm.inference.trained import load
from dslm.tasks.base import Task
from dslm.tasks.coder import Coder

Home = Callable[..., Path]
Theirs = Callable[[str], Any]
ONE = "single_label_classification"


@pytest.mark.parametrize(
    ("kind", "said", "labels", "classes"),
    [
        ("bert of sequences", {}, "one", ("pos", "neg", "none")),
        ("bert of sequences", {"problem_type": None}, "one", ("pos", "neg", "none")),
        ("gpt2 of sequences", {}, "several", ("pos", "neg", "none")),
        ("bert of amounts", {}, "amount", ("score",)),
        ("bert of amounts", {"problem_type": None}, "amount", ("score",)),
        (
            "llama of sequences",
            {"id2label": None, "num_labels": 3},
            "one",
            ("LABEL_0", "LABEL_1", "LABEL_2"),
        ),
    ],
)
def test_labels_are_those_of_the_folder(
    kind: str,
    said: dict[str, Any],
    labels: str,
    classes: tuple[str, ...],
    home: Home,
    theirs: Theirs,
    tmp_path: Path,
) -> None:
    folder = home(theirs(kind))
    change(folder, **said)
    import_folder(folder, tmp_path / "run")
    trained = load(tmp_path / "run")
    objective = trained.config.objective
    assert (objective.kind, objective.settings.labels) == ("classification", labels)
    assert isinstance(trained.objective, Task)
    assert classes_of(tmp_path / "run", trained.objective) == classes


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"id2label": {"0": "a", "2": "b", "3": "c"}}, "must give each number from 0 to 2 a name"),
        ({"id2label": {"0": "a", "1": "a", "2": "c"}}, "must give each number from 0 to 2 a name"),
        ({"problem_type": "ranking"}, f"'ranking': dslm has only {ONE}"),
        ({"problem_type": "regression"}, "num_labels = 3: dslm learns one amount"),
        ({"id2label": {"0": "a", "1": "b"}}, r"classifier.weight = \[3, 48\]: must be \[2, 48\]"),
        ({"id2label": ["a", "b", "c"]}, "must give each number from 0 to 2 a name"),
    ],
)
def test_labels_that_are_not_understood_are_refused(
    said: dict[str, Any], message: str, home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    folder = home(theirs("bert of sequences"))
    change(folder, **said)
    with pytest.raises(UserError, match=message):
        import_folder(folder, tmp_path / "run")


@pytest.mark.parametrize("end", ["<|endoftext|>", "</s>"])
@pytest.mark.parametrize("ended", [True, False])
def test_texts_end_as_those_that_the_model_has_learned_from(
    ended: bool, end: str, home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    folder = home(theirs("gpt2 of sequences"))
    content = byte_level(ended).to_str().replace("<|endoftext|>", end)
    (folder / "tokenizer.json").write_text(content)
    import_folder(folder, tmp_path / "run")
    coder = Coder(load(tmp_path / "run").tokenizer, False, 24)
    own = Tokenizer.from_str(content).encode("the river").ids
    assert coder.framed([coder.ids("the river")])[0] == own
    assert (own[-1] == 0) == ended


def test_the_command_says_how_to_measure_what_was_imported(
    home: Home, theirs: Theirs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["import", str(home(theirs("gpt2 of tokens"))), str(tmp_path / "run")]
    assert run_command(hub.main, words) == 0
    said = capsys.readouterr().out
    assert "launch/evaluate.py" in said
    assert "--task tagging" in said
    words = ["export", str(tmp_path / "run"), str(tmp_path / "out")]
    assert run_command(hub.main, words) == 0
    assert "transformers.GPT2ForTokenClassification.from_pretrained(" in capsys.readouterr().out
    assert settings_of(tmp_path / "out")["pad_token_id"] == 300
