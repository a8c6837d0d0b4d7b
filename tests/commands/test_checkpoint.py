"""``dslm checkpoint``: what a run has, whether it is whole, and what may go."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.checkpoints import cut_manifest, flip, lose, make_run, save, truncate, weights

from dslm.commands.checkpoint import VERBS, main
from dslm.commands.cli import run
from dslm.run.best import Measured
from dslm.run.folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with three checkpoints, of which it would keep two and each twentieth."""
    monkeypatch.chdir(tmp_path)
    return make_run(Path("a"), 10, 20, 30, keep=2, keep_every=20)


@pytest.fixture
def call(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a verb: ``call("show a --step 10")`` gives code, output and errors."""

    def called(words: str) -> tuple[int, str, str]:
        code = run(main, words.split())
        reported = capsys.readouterr()
        return code, reported.out, reported.err

    return called


def left(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_help_names_every_verb(call: Any) -> None:
    for words in ("", "--help", "-h"):
        code, reported, _ = call(words)
        assert code == 0
        assert all(f"dslm checkpoint {verb} " in reported for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_of_its_own(call: Any, verb: str) -> None:
    with pytest.raises(SystemExit) as ended:
        call(f"{verb} --help")
    assert ended.value.code == 0


@pytest.mark.parametrize("verb", VERBS)
def test_a_folder_that_is_no_run_is_refused(call: Any, verb: str) -> None:
    code, reported, error = call(f"{verb} nowhere" + (" --keep 1" if verb == "prune" else ""))
    assert (code, reported) == (2, "")
    assert error == "error: nowhere: is not the folder of a run: it does not exist; give a\n"
    assert not Path("nowhere").exists()


@pytest.mark.parametrize("verb", ["verify", "show", "diff"])
def test_a_run_without_checkpoints_is_refused(call: Any, folder: Path, verb: str) -> None:
    make_run(Path("empty"))
    fix = "let it train as far as its first one (checkpoint_interval)"
    assert call(f"{verb} empty") == (2, "", f"error: empty: has no checkpoint yet; {fix}\n")
    assert call("list empty")[:2] == (0, "empty · 0 checkpoints, 0B · all steps made\n")
    assert call("prune empty --keep 1")[:2] == (0, "nothing to remove\n")


@pytest.mark.parametrize(
    "words", ["verify a --step 11", "show a --step 11", "diff a --steps 10 11"]
)
def test_a_step_that_is_not_there_is_refused_with_those_that_are(call: Any, words: str) -> None:
    expected = "error: a: has no checkpoint of step 11; choose from 10, 20, 30\n"
    assert call(words) == (2, "", expected)


def test_list_is_a_table_with_the_newest_first(call: Any) -> None:
    code, reported, _ = call("list a")
    head, _, columns, *rows = reported.splitlines()[:6]
    assert code == 0
    assert head.startswith("a · 3 checkpoints, ")
    assert columns.split()[:5] == ["step", "tokens", "loss", "validation", "size"]
    assert [row.split()[0] for row in rows] == ["30", "20", "10"]
    assert rows[0].endswith("2 ranks, ZeRO-1  whole, newest")
    assert " 7.0000  8.5000 (at 20) " in rows[0]
    assert rows[1].endswith("whole, best, milestone")
    assert rows[2].endswith("whole")
    assert "the run goes on from step 30\n" in reported
    assert "keeps the newest 2, and each multiple of 20\n" in reported
    assert "dslm checkpoint prune a --keep 1 --dry-run" in reported


def test_the_best_by_a_metric_is_listed_with_it_and_found_by_name(call: Any) -> None:
    tagged = make_run(Path("tagged"), 10, best_by="f1")
    with (tagged / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 20, "validation_loss": 8.0, "validation_f1": 0.75}) + "\n")
    for step, f1 in ((20, 0.75), (30, 0.5)):
        measured = Measured(8.0 - step / 10, "data", 4, {"f1": f1}, "f1")
        save(tagged / "checkpoints", step, measured=measured)
    reported = call("list tagged")[1]
    columns, newest, row, first = reported.splitlines()[2:6]
    assert columns.split()[:6] == ["step", "tokens", "loss", "validation", "f1", "size"]
    assert "  0.7500  " in row
    assert ", best" in row
    assert ", best" not in newest
    assert first.split()[0] == "10"
    assert call("show tagged --step best")[1].startswith("step     20 of tagged")


@pytest.mark.parametrize("harm", [truncate, lose, cut_manifest])
def test_list_shows_damage_and_leftovers(
    call: Any, folder: Path, harm: Callable[[Path, int], Path]
) -> None:
    file = harm(folder, 30)
    (folder / "checkpoints" / ".step-00000040.partial").mkdir()
    code, reported, _ = call("list a")
    assert code == 0
    assert reported.splitlines()[3].endswith("  damaged")
    assert f"\ndamaged: {file}" in reported
    assert ".step-00000040.partial: unfinished, 0B, " in reported
    assert "left by a killed run; may go\n" in reported
    assert "the run goes on from step 20\n" in reported


def test_list_of_a_run_in_training_says_so_of_what_is_unfinished(call: Any, folder: Path) -> None:
    (folder / "checkpoints" / ".step-00000040.partial").mkdir()
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reported = call("list a")[1]
    assert "being written or removed now\n" in reported
    assert "prune" not in reported


def test_list_works_where_the_record_is_lost(call: Any, folder: Path) -> None:
    (folder / "run.json").write_text("{")
    for _, path in sorted((one.name, one) for one in (folder / "checkpoints").iterdir()):
        (path / "run.json").write_text("{")
    code, reported, _ = call("list a")
    assert code == 0
    assert reported.splitlines()[0].endswith(" · run.json is lost")


def test_list_as_json_is_one_object(call: Any, folder: Path) -> None:
    lose(folder, 30)
    found = json.loads(call("list a --json")[1])
    assert [one["step"] for one in found["checkpoints"]] == [30, 20, 10]
    assert (found["newest_whole"], found["keep"], found["in_use"]) == (20, 2, False)
    assert "is missing" in found["checkpoints"][0]["damage"][0]
    assert found["checkpoints"][1]["validation_loss"] == {"value": 8.5, "step": 20}


def test_verify_of_whole_ones_says_so(call: Any) -> None:
    code, reported, _ = call("verify a")
    assert code == 0
    assert [line.split(",")[0] for line in reported.splitlines()[:3]] == [
        "step 30: whole",
        "step 20: whole",
        "step 10: whole",
    ]
    assert reported.endswith("\n\nthe run goes on from step 30\n")


@pytest.mark.parametrize("harm", [truncate, flip, lose, cut_manifest])
@pytest.mark.parametrize("words", ["verify a", "verify a --step 30"])
def test_verify_names_what_is_broken_and_says_what_is_next(
    call: Any, folder: Path, harm: Callable[[Path, int], Path], words: str
) -> None:
    file = harm(folder, 30)
    code, reported, _ = call(words)
    assert code == 1
    assert "step 30: damaged, " in reported
    assert f"\n  {file}" in reported
    assert ("step 20: whole" in reported) == ("--step" not in words)
    seen = " (whole as far as the sizes of its files tell)" if "--step" in words else ""
    assert f"the run goes on from step 20{seen}, and makes the steps to 30 again\n" in reported
    assert reported.endswith("\n  python launch/pretrain.py tiny 'run=my run'\n")


def test_verify_names_every_broken_file_of_every_checkpoint(call: Any, folder: Path) -> None:
    files = [flip(folder, 30), truncate(folder, 10)]
    other = folder / "checkpoints" / "step-00000030" / "state.json"
    other.unlink()
    code, reported, _ = call("verify a")
    assert code == 1
    assert all(f"\n  {file}: " in reported for file in [*files, other])


def test_verify_goes_on_after_a_file_that_cannot_be_read(
    call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dslm.files import fingerprint

    whole, broken = fingerprint.file_sha256, flip(folder, 30)

    def bad_disk(path: Path, advance: Any = None) -> str:
        if path.name == "layer-0000.safetensors" and "30" in path.parent.name:
            raise OSError(5, "Input/output error", str(path))
        return whole(path, advance)

    monkeypatch.setattr(fingerprint, "file_sha256", bad_disk)
    code, reported, _ = call("verify a")
    assert code == 1
    assert "layer-0000.safetensors: cannot be read: Input/output error\n" in reported
    assert f"  {broken}: is damaged" in reported
    assert "step 20: whole" in reported


def test_verify_says_when_nothing_is_left(call: Any, folder: Path) -> None:
    for step in (10, 20, 30):
        lose(folder, step)
    code, reported, _ = call("verify a")
    assert code == 1
    assert "no whole checkpoint is left" in reported


def test_verify_gives_no_command_to_a_run_in_training(call: Any, folder: Path) -> None:
    lose(folder, 10)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, reported, _ = call("verify a")
    assert code == 1
    assert reported.endswith("it is in use now: another process is training it\n")


def test_verify_as_json_is_one_object_and_ends_alike(call: Any, folder: Path) -> None:
    file = flip(folder, 30)
    code, reported, _ = call("verify a --json")
    found = json.loads(reported)
    assert code == 1
    assert [one["whole"] for one in found["checkpoints"]] == [False, True, True]
    assert found["checkpoints"][0]["problems"][0].startswith(f"{file}: is damaged")
    assert found["newest_whole"] == 20
    assert found["command"] == "python launch/pretrain.py tiny 'run=my run'"


def test_show_keeps_weights_and_optimizer_state_apart(call: Any) -> None:
    code, reported, _ = call("show a --step 20")
    assert code == 0
    assert "state    samples 320" in reported
    assert "versions dslm 0.1.0" in reported
    first, second = reported.split("\noptimizer state: ")
    assert "weights: 2 tensors, 18 numbers, norm 69.678\n" in first
    assert second.startswith("1 tensor, 12 numbers, norm 6.9282\n")
    (row,) = [line.split() for line in first.splitlines() if line.startswith("2.")]
    assert row == ["2.attention.weight", "3×4", "F32", "20", "20", "20", "69.28", "0"]


def test_show_counts_what_is_not_finite(call: Any, folder: Path) -> None:
    tensors = {**weights(40), "0.embedding.weight": torch.tensor([1.0, float("nan")])}
    save(folder / "checkpoints", 40, tensors)
    code, reported, _ = call("show a --tensor 0.*")
    assert code == 0
    assert "weights: 1 tensor, 2 numbers, norm 1, 1 NOT FINITE\n" in reported
    assert "optimizer state" not in reported


def test_show_as_json_has_every_number(call: Any) -> None:
    found = json.loads(call("show a --step 10 --json --tensor *#exp_avg")[1])
    assert (found["step"], found["format"], found["state"]["samples"]) == (10, 1, 160)
    (tensor,) = found["tensors"]
    assert (tensor["shape"], tensor["maximum"], tensor["non_finite"]) == ([3, 4], 1.0, 0)


@pytest.mark.parametrize("words", ["show a", "diff a --steps 10 30"])
@pytest.mark.parametrize("harm", [truncate, lose, cut_manifest])
def test_what_is_damaged_is_neither_shown_nor_compared(
    call: Any, folder: Path, harm: Callable[[Path, int], Path], words: str
) -> None:
    file = harm(folder, 30)
    code, reported, error = call(words)
    assert (code, reported) == (2, "")
    assert error.startswith(f"error: {file}")


def test_diff_shows_the_largest_change_first_and_the_values(call: Any) -> None:
    code, reported, _ = call("diff a --steps 10 30")
    assert code == 0
    assert "weights: 1 tensor changed\n" in reported
    assert "\n2.attention.weight  2\n" in reported
    assert "\n1 tensor the same\n" in reported
    assert "\n  state.step: 10 → 30\n  state.samples: 160 → 480\n" in reported


def test_diff_of_one_run_compares_the_newest_two(call: Any) -> None:
    reported = call("diff a")[1]
    assert reported.startswith(
        "from  a/checkpoints/step-00000020\nto    a/checkpoints/step-00000030\n"
    )


def test_diff_of_two_runs_compares_their_newest_and_their_settings(call: Any) -> None:
    make_run(Path("b"), 30, keep=2, keep_every=50)
    (found,) = [call("diff a b")[1]]
    assert found.startswith("from  a/checkpoints/step-00000030\nto    b/checkpoints/step-00000030")
    assert "all 3 tensors are the same\n" in found
    assert "  config.keep_every: 20 → 50\n" in found


def test_diff_of_a_single_checkpoint_asks_for_another(call: Any) -> None:
    make_run(Path("b"), 30)
    assert call("diff b")[2] == "error: b: has a single checkpoint; name a second run\n"


def test_diff_names_what_was_added_removed_and_reshaped(call: Any, folder: Path) -> None:
    make_run(Path("b"))
    tensors = {"0.embedding.weight": torch.zeros(4, 3), "5.new": torch.zeros(2)}
    save(Path("b") / "checkpoints", 1, tensors)
    reported = call("diff a b --steps 10 1")[1]
    for line in (
        "5.new               added: 2",
        "2.attention.weight  removed: 3×4",
        "0.embedding.weight  reshaped: 2×3 → 4×3",
    ):
        assert f"\n{line}\n" in reported


@pytest.mark.parametrize(
    ("before", "after", "why"), [(0.0, 1.0, "was zero"), (1.0, float("nan"), "not finite")]
)
def test_diff_says_why_a_change_has_no_number(
    call: Any, before: float, after: float, why: str
) -> None:
    make_run(Path("b"))
    for step, value in ((1, before), (2, after)):
        save(Path("b") / "checkpoints", step, {"0.a": torch.tensor([value, 0.0])})
    assert f"0.a   {why}\n" in call("diff b")[1]
    (change,) = json.loads(call("diff b --json")[1])["tensors"]
    assert (change["relative"], change["reason"]) == (None, why)


def test_a_long_diff_is_cut_unless_all_is_asked_for(call: Any) -> None:
    make_run(Path("b"))
    for step in (1, 2):
        tensors = {f"0.{number:02}": torch.full((2,), step * 1.0) for number in range(25)}
        save(Path("b") / "checkpoints", step, tensors)
    assert "… and 5 more (--all)\n" in call("diff b")[1]
    assert "0.24" in call("diff b --all")[1]
    assert len(json.loads(call("diff b --json")[1])["tensors"]) == 25


def test_prune_says_what_goes_and_what_stays_and_keeps_the_runs_milestones(
    call: Any, folder: Path
) -> None:
    (folder / "checkpoints" / ".step-00000040.partial").mkdir()
    code, dry, _ = call("prune a --keep 1 --dry-run")
    assert code == 0
    assert len(left(folder)) == 4
    code, reported, _ = call("prune a --keep 1")
    assert code == 0
    assert dry.replace("would go", "removed ").replace("would be freed", "freed") == reported
    assert "removed   a/checkpoints/step-00000010: older, " in reported
    assert "stays     step 30 (newest whole, every byte compared)\n" in reported
    assert "stays     step 20 (best, milestone)\n" in reported
    assert left(folder) == ["step-00000020", "step-00000030"]
    assert call("prune a --keep 1")[1].endswith("\nnothing to remove\n")


def test_prune_keeps_the_multiples_that_it_is_given(call: Any, folder: Path) -> None:
    call("prune a --keep 1 --keep-every 10")
    assert len(left(folder)) == 3
    call("prune a --keep 1 --keep-every 0 --drop-best")
    assert left(folder) == ["step-00000030"]


def test_prune_keeps_the_best_unless_it_is_to_go(call: Any, folder: Path) -> None:
    assert "step 20 (best)\n" in call("prune a --keep 1 --keep-every 0")[1]
    assert left(folder) == ["step-00000020", "step-00000030"]
    call("prune a --keep 1 --keep-every 0 --drop-best")
    assert left(folder) == ["step-00000030"]


def test_prune_of_a_run_in_training_is_refused_and_changes_nothing(call: Any, folder: Path) -> None:
    trained = RunFolder(folder)
    trained.lock.take()
    try:
        for words in ("prune a --keep 1", "prune a --keep 1 --dry-run"):
            code, reported, error = call(words)
            assert (code, reported) == (2, "")
            assert error.startswith(
                "error: a: is in use: another run is writing there now (process "
            )
    finally:
        trained.lock.release()
    assert len(left(folder)) == 3
    assert call("prune a --keep 1")[0] == 0


def test_a_run_may_start_after_a_prune_however_it_ended(call: Any, folder: Path) -> None:
    assert call("prune a --keep 2")[0] == 0
    for step in (20, 30):
        lose(folder, step)
    code, _, error = call("prune a --keep 1")
    assert code == 2
    assert "no whole checkpoint is left, so nothing is removed" in error
    trained = RunFolder(folder)
    trained.lock.take()
    trained.lock.release()
    assert left(folder) == ["step-00000020", "step-00000030"]


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        ("prune a", "--keep"),
        ("prune a --keep 0", "--keep = 0: must be 1 or more"),
        ("prune a --keep 1 --keep-every -1", "--keep-every = -1: must be 0 or more"),
        ("show a --tensor att", "use '*att*'"),
        ("diff a --steps 10", "--steps"),
        ("list", "RUN"),
        ("list a --jsn", "--jsn: unknown argument; did you mean '--json'?"),
        ("lst a", "there is no such verb; did you mean 'list'?"),
    ],
)
def test_a_missing_or_unknown_argument_is_one_line(call: Any, words: str, reported: str) -> None:
    code, _, error = call(words)
    assert code == 2
    assert error.count("error:") == 1
    assert reported in error
