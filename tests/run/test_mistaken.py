"""What is given for the folder of a run, and what dslm proposes instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dslm.errors import CheckpointError
from dslm.run.folder import RunFolder
from dslm.run.mistaken import hub_name, is_run

RULE = "is not the folder of a run: "


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with two runs, and other things that a user may take for one."""
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        step = Path(f"runs/{name}/checkpoints/step-00000200")
        step.mkdir(parents=True)
        (step / "manifest.json").write_text("{}")
        Path(f"runs/{name}/run.json").write_text("{}")
    Path("runs/first/tokenizer").mkdir()
    others = {"shards": "manifest.json", "my model": "config.json", "tok": "card.json"}
    for folder, file in others.items():
        Path(folder).mkdir()
        Path(folder, file).write_text(json.dumps({}))
    Path("many").mkdir()
    for number in range(12):
        Path(f"many/{number:02}/checkpoints").mkdir(parents=True)
    Path("notes.txt").write_text("")
    Path("empty").mkdir()


GIVE = "give the folder that pretrain made (run=)"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("runs/first/run.json", "it lies in one; give runs/first"),
        ("runs/first/tokenizer", "it lies in one; give runs/first"),
        ("runs/first/checkpoints", "it lies in one; give runs/first"),
        (
            "runs/first/checkpoints/step-00000200",
            "it is the checkpoint of step 200 of one; give runs/first --step 200",
        ),
        (
            "runs/first/checkpoints/step-00000200/manifest.json",
            "it lies in one; give runs/first",
        ),
        ("runs", "in it there are 2; give runs/first or runs/second"),
        ("shards", f"it is a shard set; {GIVE}, not what it was trained on"),
        (
            "my model",
            "it is a model in Hugging Face's form; "
            "make a run of it: dslm hub import 'my model' 'runs/my model'",
        ),
        (
            "my model/config.json",
            "it is a file of a model in Hugging Face's form; "
            "make a run of it: dslm hub import 'my model' 'runs/my model'",
        ),
        ("tok", f"it is a tokenizer; {GIVE}"),
        ("empty", f"it has no run.json; {GIVE}"),
        ("notes.txt", f"it is a file; {GIVE}"),
        ("runs/firstt", "it does not exist; did you mean 'runs/first'?"),
        ("runs/zzz", "it does not exist; give runs/first or runs/second"),
        (
            "gpt2",
            "it does not exist, and dslm downloads no model; "
            "download its files yourself, then type: dslm hub import FOLDER runs/gpt2",
        ),
        (
            "openai/gpt2",
            "it does not exist, and dslm downloads no model; "
            "download its files yourself, then type: dslm hub import FOLDER runs/gpt2",
        ),
        ("a/b/c", f"it does not exist; {GIVE}"),
    ],
)
def test_what_is_no_run_is_answered_with_what_to_give(given: str, said: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        RunFolder.open(Path(given), steps=True)
    assert str(caught.value) == f"{given}: {RULE}{said}"


def test_of_many_runs_some_are_named() -> None:
    with pytest.raises(CheckpointError, match=r"are 12; give one of many/00, .* and 4 more$"):
        RunFolder.open(Path("many"))


def test_a_command_without_a_step_is_not_told_to_take_one() -> None:
    with pytest.raises(CheckpointError, match=r"give runs/first$"):
        RunFolder.open(Path("runs/first/checkpoints/step-00000200"))


def test_whoever_reads_a_run_gets_the_same_answer() -> None:
    with pytest.raises(CheckpointError, match="did you mean 'runs/first'"):
        RunFolder(Path("runs/firstt")).read()


def test_the_run_above_is_named_as_the_path_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match=rf"give {tmp_path}/runs/first$"):
        RunFolder.open(tmp_path / "runs/first/checkpoints")
    monkeypatch.chdir("runs/first/checkpoints")
    with pytest.raises(CheckpointError, match=r"give \.\. --step 200$"):
        RunFolder.open(Path("step-00000200"), steps=True)


def test_a_run_that_has_lost_its_record_is_one() -> None:
    Path("runs/first/run.json").unlink()
    assert is_run(Path("runs/first"))
    assert RunFolder.open(Path("runs/first")).path == Path("runs/first")
    assert not is_run(Path("runs/first/checkpoints/step-00000200"))


@pytest.mark.parametrize("path", ["runs", "runs/zzz", "a/b/c", "./x y", "notes.txt"])
def test_what_cannot_be_the_name_of_a_model_is_not_taken_for_one(path: str) -> None:
    assert hub_name(Path(path)) is None
