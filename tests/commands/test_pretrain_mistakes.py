"""The mistakes a newcomer makes: each is one line that says what to do, before torch is loaded."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT

from dslm.commands.cli import run
from dslm.commands.pretrain import main
from dslm.commands.pretrain_options import without_rank
from dslm.environment import World
from dslm.train.prepare import Job, prepare

ALONE = World()


class StartedError(Exception):
    """Nothing was found wrong."""


def typed(words: dict[str, str]) -> list[str]:
    return [text if key == "preset" else f"{key}={text}" for key, text in words.items() if text]


@pytest.fixture
def words(shard_set: Path, tmp_path: Path) -> dict[str, str]:
    """What makes a right command, by name; a test changes some of it."""
    return {
        "preset": "tiny",
        "data.train": str(shard_set),
        "run": str(tmp_path / "run"),
    }


@pytest.fixture
def tell(
    words: dict[str, str],
    deepspeed_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    """Runs the command in this process with changes; returns what it told, line by line."""

    def refuse_to_train(*_: object) -> None:
        raise StartedError

    monkeypatch.setattr("dslm.commands.pretrain.take_folder", refuse_to_train)

    def tell(*more: str, deepspeed: Path | None = deepspeed_file, **changes: str) -> list[str]:
        arguments = typed({**words, **changes})
        if deepspeed is not None:
            arguments += ["--deepspeed_config", str(deepspeed)]
        code = run(main, [*arguments, *more])
        reported = capsys.readouterr()
        assert (code, reported.out) == (2, "")
        lines = reported.err.splitlines()
        assert all(line.startswith("error: ") for line in lines)
        return [line.removeprefix("error: ") for line in lines]

    return tell


@pytest.fixture
def deepspeed(tmp_path: Path, deepspeed_settings: dict[str, Any]) -> Any:
    """Makes a file of DeepSpeed's JSON with keys changed."""

    def make(**changes: Any) -> Path:
        path = tmp_path / "changed.json"
        path.write_text(json.dumps({**deepspeed_settings, **changes}))
        return path

    return make


def test_a_right_command_starts(tell: Any) -> None:
    with pytest.raises(StartedError):
        tell()


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("stpes=3", "stpes = 3: unknown key; did you mean 'steps'?"),
        ("model.layer=3", "model.layer = 3: unknown key; did you mean 'model.layers'?"),
        ("layers=3", "layers = 3: unknown key; did you mean 'model.layers'?"),
        ("schedule.wamrup_steps=3", "did you mean 'schedule.warmup_steps'?"),
        ("xyzzy=1", "xyzzy = 1: unknown key; see --help for every key"),
        ("steps=many", "steps = 'many': must be a whole number"),
        ("steps=1e3", "steps = 1000.0: must be a whole number; write steps=1000"),
        ("steps=0", "steps = 0: must be at least 1"),
        ("model.dropout=1.5", "model.dropout = 1.5: must be less than 1.0"),
        ("model.tied=True", "must be true or false; write model.tied=true"),
        ("schedule=cosine", "must be a group of keys; write schedule.kind=…"),
        ("model.positions=rotry", "did you mean 'rotary'?"),
        ("target_loss=NaN", "target_loss = nan: must be a finite number"),
        ("steps", "steps: is not key=value; write steps=value"),
        ("100", "100: is not key=value"),
        ("run=again", "run = 'again': is given twice; keep one of the two"),
        ("model.heads=5", "model.heads = 5: does not divide model.width = 128; use 4 or 8"),
        ("model.key_value_heads=3", "does not divide model.heads = 4; use 2 or 4"),
        ("schedule.warmup_steps=300", "leaves none of the 300 steps after the warm-up"),
        ("patience=3", "patience = 3: needs a validation set; set data.validation=FOLDER"),
        ("pipeline_stages=2", "pipeline_stages = 2: does not divide the number of ranks, 1"),
        ("--deepspeed_conf=x", "unknown argument; did you mean '--deepspeed_config'?"),
        ("--steps=100", "--steps = '100': is a key, not an option; write steps=100"),
    ],
)
def test_a_wrong_word_is_reported_with_its_cure(tell: Any, word: str, line: str) -> None:
    reported = tell(word)
    assert len(reported) == 1
    assert line in reported[0]


def test_a_folder_named_by_a_number_must_be_quoted(tell: Any) -> None:
    reported = tell(run="2024")
    assert reported == ["run = 2024: must be text; write run='\"2024\"'"]


def test_an_unknown_option_hides_not_behind_its_value(tell: Any) -> None:
    reported = tell("--deepspeed_conf", "x.json", deepspeed=None)
    assert reported == ["--deepspeed_conf: unknown argument; did you mean '--deepspeed_config'?"]


def test_a_missing_deepspeed_file_is_reported_with_one_to_start_from(tell: Any) -> None:
    (reported,) = tell(deepspeed=None)
    assert reported.startswith("--deepspeed_config: is required")
    fix = reported.rpartition(" ")[2]
    assert (ROOT / fix).is_file()


@pytest.mark.parametrize(
    ("preset", "line"),
    [
        ("gpt2-small", "preset = 'gpt2-small': there is no such preset; did you mean 'gpt2_small'"),
        ("zzz", "preset = 'zzz': there is no such preset; choose from tiny, demo, "),
        ("", "preset: is required; choose from tiny, demo, "),
    ],
)
def test_a_wrong_preset_is_reported_with_the_right_ones(tell: Any, preset: str, line: str) -> None:
    (reported,) = tell(preset=preset)
    assert reported.startswith(line)


def test_two_presets_are_one_too_many(tell: Any) -> None:
    (reported,) = tell("preset=demo")
    assert reported == "preset = 'demo': is given twice; keep one of the two"


def test_what_only_the_user_knows_is_asked_for(tell: Any) -> None:
    reported = tell(**{"data.train": "", "run": ""})
    assert reported == [
        "data.train: is required; add data.train=…",
        "run: is required; add run=…",
    ]


def test_all_mistakes_are_reported_at_once(tell: Any, deepspeed: Any, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").touch()
    file = deepspeed(gradient_cliping=1.0, train_batch_size=8.0)
    reported = tell("model.heads=5", "model.vocabulary=3", deepspeed=file)
    keys = [line.partition(" = ")[0] for line in reported]
    assert keys == [
        "train_batch_size",
        "gradient_cliping",
        "model.heads",
        "model.vocabulary",
        "run",
    ]


def test_mistakes_in_preset_keys_and_deepspeed_are_reported_at_once(
    tell: Any, deepspeed: Any
) -> None:
    file = deepspeed(zero_optimisation={"stage": 3})
    reported = tell("stpes=3", preset="tyny", deepspeed=file)
    assert [line.partition(":")[0] for line in reported] == [
        "preset = 'tyny'",
        "stpes = 3",
        "zero_optimisation",
    ]


def test_a_key_of_deepspeed_is_checked_at_any_depth(tell: Any, deepspeed: Any) -> None:
    file = deepspeed(zero_optimization={"stage": 1, "overlap_com": True})
    (reported,) = tell(deepspeed=file)
    assert reported.endswith("did you mean 'overlap_comm'?")


def test_a_batch_that_cannot_be_split_is_reported_with_the_nearest(
    tell: Any, deepspeed: Any
) -> None:
    (reported,) = tell(deepspeed=deepspeed(train_batch_size=15))
    assert reported.startswith("train_batch_size = 15: is not a multiple of")
    assert reported.endswith("use 14 or 16, or train_micro_batch_size_per_gpu 1 or 3")


def test_a_pipeline_with_zero_2_is_refused(tell: Any, deepspeed: Any) -> None:
    file = deepspeed(zero_optimization={"stage": 2})
    reported = tell("pipeline_stages=2", deepspeed=file)
    assert reported[0].startswith(
        "zero_optimization.stage = 2: does not go with pipeline_stages = 2"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"steps": 5, run}', "file.json, line 1, column 14: is not JSON: "),
        ("[1]", "file.json: must hold a JSON object; write {…} around it"),
        (
            '{"steps": 5, "steps": 6}',
            "file.json: steps: is given twice in one block; keep one of the two",
        ),
        ('{"modle": {"layers": 3}}', "modle = {'layers': 3}: unknown key; did you mean 'model'?"),
        ('{"config": {"stpes": 3}}', "stpes = 3: unknown key; did you mean 'steps'?"),
        (None, "file.json: no such file"),
    ],
)
def test_a_broken_file_of_settings_is_reported_with_the_place(
    tell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("file.json").write_text(text)
    (reported,) = tell("--config", "file.json")
    assert reported.startswith(line)


def test_a_vocabulary_smaller_than_the_tokenizer_is_refused(tell: Any) -> None:
    (reported,) = tell("model.vocabulary=5")
    assert reported == (
        "model.vocabulary = 5: is too small: the shards hold token ids up to 16; "
        "use model.vocabulary=17 or more, or null"
    )


def test_a_missing_data_folder_is_reported(tell: Any) -> None:
    (reported,) = tell(**{"data.train": "nowhere"})
    assert reported.startswith("data.train = 'nowhere': no such shard set; make one with")


def test_a_folder_that_is_no_shard_set_is_reported(tell: Any, shard_set: Path) -> None:
    (reported,) = tell(**{"data.train": str(shard_set / "tokenizer")})
    assert "the folder is not a shard set; make one with preprocess/shard.py" in reported


def test_a_mixture_of_nothing_is_refused(tell: Any) -> None:
    (reported,) = tell(**{"data.train": "{}"})
    assert reported == "data.train = {}: names no shard set; name one or more"


def test_data_shorter_than_a_window_is_reported(tell: Any, make_shards: Any) -> None:
    short = make_shards("a short text")
    (reported,) = tell(**{"data.train": str(short)})
    assert reported == (
        f"{short}: its 12 tokens are less than one row of 129; "
        "use more text or a shorter model.sequence"
    )


def test_data_of_another_tokenizer_is_refused(tell: Any, make_shards: Any, shard_set: Path) -> None:
    other = make_shards("entirely different letters " * 20)
    (reported,) = tell(f"data.validation={other}")
    assert "was made with another tokenizer than data.train" in reported
    assert str(shard_set / "tokenizer") in reported


@pytest.fixture
def damaged(words: dict[str, str], shard_set: Path, tmp_path: Path) -> Path:
    """A copy of the shard set, made the one to train on; returns a shard to damage."""
    shutil.copytree(shard_set, tmp_path / "copy")
    words["data.train"] = str(tmp_path / "copy")
    return next((tmp_path / "copy").glob("*.arrow"))


def test_a_truncated_shard_is_reported_by_its_size(tell: Any, damaged: Path) -> None:
    size = damaged.stat().st_size
    os.truncate(damaged, size - 8)
    (reported,) = tell()
    assert reported.startswith(f"{damaged}: {size - 8} bytes where manifest.json says {size}")


@pytest.fixture
def begun(words: dict[str, str], deepspeed_file: Path) -> Job:
    """A run that has made a checkpoint at step 50 stands in the folder."""
    job = prepare(typed(words), None, str(deepspeed_file), ALONE)
    job.folder.checkpoint(50).mkdir(parents=True)
    job.folder.write_record({"format": 1, "config": job.settings, "data": job.sources.record()})
    return job


def test_the_same_command_goes_on_with_a_run(tell: Any, begun: Job) -> None:
    with pytest.raises(StartedError):
        tell()


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("steps=49", "steps = 49: the run in this folder has made 50 steps already; use steps=50"),
        ("fresh=true", "is not empty, and fresh=true was given; choose another run="),
        ("seed=1", "seed = 1: the run in this folder has 0; use the same, or choose another run="),
        ("data.augmentation.drop=0.1", "data.augmentation.drop = 0.1: the run in this folder has"),
        ("model.layers=3", "model.layers = 3: the run in this folder has 2; use the same"),
    ],
)
def test_a_run_goes_on_only_as_it_began(tell: Any, begun: Job, word: str, line: str) -> None:
    (reported,) = tell(word)
    assert line in reported


def test_a_run_goes_on_only_with_its_data(
    tell: Any, begun: Job, make_shards: Any, shard_set: Path
) -> None:
    text = " ".join(f"{n} plus {n} is {2 * n}." for n in reversed(range(400)))
    other = make_shards(text)
    (reported,) = tell(**{"data.train": str(other)})
    assert reported.startswith(f"data.train = '{other}': is not what the run in this folder")


def test_a_moved_shard_set_is_still_the_same_data(
    tell: Any, begun: Job, shard_set: Path, tmp_path: Path
) -> None:
    shutil.copytree(shard_set, tmp_path / "moved")
    with pytest.raises(StartedError):
        tell(**{"data.train": str(tmp_path / "moved")})


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"config": 3}', '{"format": 2}'])
def test_a_broken_record_is_not_taken_for_a_run(tell: Any, begun: Job, text: str) -> None:
    begun.folder.record.write_text(text)
    (reported,) = tell()
    assert "holds something that is not a run (it has no readable run.json)" in reported


def test_a_folder_of_something_else_is_left_alone(tell: Any, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("dear reader")
    (reported,) = tell()
    assert "holds something that is not a run" in reported
    assert os.listdir(tmp_path / "run") == ["thesis.txt"]


@pytest.mark.parametrize("below", ["", "/run"])
def test_a_file_in_the_place_of_the_folder_is_reported(
    tell: Any, tmp_path: Path, below: str
) -> None:
    (tmp_path / "file").touch()
    (reported,) = tell(run=f"{tmp_path}/file{below}")
    assert reported.endswith(f"{tmp_path}/file is a file; choose another run=")


def test_a_rank_variable_that_is_no_number_is_reported(
    tell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "first")
    (reported,) = tell()
    assert reported.startswith("RANK = 'first': must be a whole number")


# The script itself, in a process of its own, where torch and DeepSpeed are mines.


@pytest.fixture
def script(
    words: dict[str, str], deepspeed_file: Path, tmp_path: Path
) -> subprocess.CompletedProcess[str]:
    """Runs launch/pretrain.py where whoever imports torch or DeepSpeed is blown up."""
    mines = tmp_path / "mines"
    mines.mkdir()
    for name in ("torch", "deepspeed"):
        (mines / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')")

    def start(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "launch" / "pretrain.py"), *typed(words), *more]
        return subprocess.run(
            [*command, "--deepspeed_config", str(deepspeed_file)],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PYTHONPATH": f"{mines}:{ROOT}", "PATH": os.defpath},
        )

    return start


def test_the_mines_work(script: Any) -> None:
    ended = script("data.verify=false")
    assert ended.returncode == 1
    assert "torch was imported" in ended.stderr


def test_the_script_tells_mistakes_without_a_traceback(script: Any) -> None:
    ended = script("stpes=3", "model.layers=three")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "error: model.layers = 'three': must be a whole number",
        "error: stpes = 3: unknown key; did you mean 'steps'?",
    ]


def test_a_flipped_bit_in_a_shard_is_found(script: Any, damaged: Path) -> None:
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    ended = script()
    assert ended.returncode == 2
    line = f"error: {damaged}: its bytes have changed since manifest.json was written"
    assert ended.stderr.startswith(line)
    assert len(ended.stderr.splitlines()) == 1


def test_a_folder_in_which_another_run_writes_is_refused(script: Any, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        ended = script()
    assert ended.returncode == 2
    assert ended.stderr == (
        f"error: run = '{tmp_path}/run': another run is writing there now; "
        "wait for it, or choose another run=\n"
    )


def test_damaged_checkpoints_are_reported_and_kept(script: Any, begun: Job) -> None:
    ended = script()
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    assert "no whole checkpoint is left" in lines[-1]
    assert begun.folder.checkpoint(50).is_dir()


@pytest.mark.parametrize(
    "rank",
    [["--local_rank", "0"], ["--local-rank", "1"], ["--local_rank=0"], ["--local-rank=1"], []],
)
def test_the_words_for_resuming_are_those_that_were_typed(rank: list[str]) -> None:
    words = ["tiny", "--deepspeed_config", "0", "steps=3"]
    assert without_rank([*rank, *words]) == without_rank([*words, *rank]) == words
