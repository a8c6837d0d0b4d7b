from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from dslm import __version__
from dslm.errors import CheckpointError
from dslm.run.checkpoint import (
    checkpoint_folder,
    checkpoints,
    kept,
    layer_file,
    newest_good,
    prune,
    read_state,
    remove_unfinished,
    verify,
)
from dslm.run.checkpoint_writer import Writer
from dslm.run.versions import versions

WEIGHTS = {"2.attention.project.weight": torch.arange(12.0).reshape(3, 4)}
FILE = layer_file(2, moments=False)


def save(root: Path, step: int) -> Path:
    writer = Writer(root, step)
    writer.begin()
    files = {FILE: writer.write(FILE, WEIGHTS)}
    writer.publish(files, {"step": step, "samples": 16 * step})
    return writer.final


def wrong(folder: Path) -> list[str]:
    return [str(problem) for problem in verify(folder)]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    folder = save(tmp_path, 7)
    assert wrong(folder) == []
    assert read_state(folder) == {"format": 1, "step": 7, "samples": 112}
    (read,) = load_file(folder / FILE).values()
    assert torch.equal(read, *WEIGHTS.values())


def test_a_part_of_a_tensor_is_written_as_a_tensor_of_its_own(tmp_path: Path) -> None:
    writer = Writer(tmp_path, 1)
    writer.begin()
    whole = torch.arange(12.0).reshape(3, 4).requires_grad_()
    writer.write(FILE, {"column": whole[:, 1]})
    assert load_file(writer.partial / FILE)["column"].tolist() == [1.0, 5.0, 9.0]


def test_a_checkpoint_is_not_there_until_it_is_whole(tmp_path: Path) -> None:
    writer = Writer(tmp_path, 7)
    writer.begin()
    size_and_hash = writer.write(FILE, WEIGHTS)
    assert checkpoints(tmp_path) == []
    writer.publish({FILE: size_and_hash}, {"step": 7})
    assert checkpoints(tmp_path) == [(7, writer.final)]
    assert not writer.partial.exists()


def test_what_a_killed_run_left_is_written_over(tmp_path: Path) -> None:
    writer = Writer(tmp_path, 7)
    writer.begin()
    (writer.partial / "rubbish").touch()
    assert not (save(tmp_path, 7) / "rubbish").exists()


def test_a_damaged_checkpoint_is_replaced_by_one_of_the_same_step(tmp_path: Path) -> None:
    (save(tmp_path, 7) / FILE).unlink()
    assert wrong(save(tmp_path, 7)) == []


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    folder = save(tmp_path, 7)
    (folder / FILE).unlink()
    assert wrong(folder) == [f"{folder / FILE}: is missing"]


def test_a_truncated_file_is_reported(tmp_path: Path) -> None:
    folder = save(tmp_path, 7)
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[:-1])
    size = len(content)
    assert wrong(folder) == [f"{folder / FILE}: has {size - 1} bytes instead of {size}"]


@pytest.mark.parametrize("name", [FILE, "state.json"])
def test_a_flipped_bit_is_reported(tmp_path: Path, name: str) -> None:
    folder = save(tmp_path, 7)
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    assert wrong(folder) == [f"{folder / name}: is damaged: its sha256 is not the manifest's"]


def test_files_of_another_checkpoint_are_reported(tmp_path: Path) -> None:
    first, second = save(tmp_path, 7), save(tmp_path, 8)
    shutil.copy(first / "state.json", second / "state.json")
    (problem,) = wrong(second)
    assert problem.startswith(f"{second / 'state.json'}: ")


@pytest.mark.parametrize(
    "text",
    [
        *["{}", "[]", "{", '{"format": 1}', '{"format": 1, "files": {"a": 3}}', "\xff"],
        '{"format": 1, "files": {}}',
    ],
)
def test_a_broken_manifest_is_reported(tmp_path: Path, text: str) -> None:
    folder = save(tmp_path, 7)
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    (problem,) = wrong(folder)
    assert problem.startswith(f"{folder / 'manifest.json'}")


def test_a_missing_manifest_is_reported(tmp_path: Path) -> None:
    folder = save(tmp_path, 7)
    (folder / "manifest.json").unlink()
    assert len(wrong(folder)) == 1


@pytest.mark.parametrize(
    ("versions", "fix"),
    [({"dslm": "9.9"}, "use dslm 9.9, which wrote it"), (None, "use the version that wrote it")],
)
def test_a_checkpoint_of_a_newer_format_is_refused(
    tmp_path: Path, versions: dict[str, str] | None, fix: str
) -> None:
    save(tmp_path, 6)
    path = save(tmp_path, 7) / "manifest.json"
    path.write_text(json.dumps({"format": 2, "parts": [], "versions": versions}))
    for read in (lambda: verify(path.parent), lambda: newest_good(tmp_path, verify)):
        with pytest.raises(CheckpointError) as caught:
            read()
        assert str(caught.value) == (
            f"{path}: format = 2: this version of dslm ({__version__}) reads 1; {fix}"
        )


def test_a_manifest_says_at_which_layout_and_with_which_versions_it_was_written(
    tmp_path: Path,
) -> None:
    writer = Writer(tmp_path, 7)
    writer.begin()
    files = {FILE: writer.write(FILE, WEIGHTS)}
    writer.publish(files, {"step": 7}, None, {"world": 4, "zero_stage": 3})
    manifest = json.loads((writer.final / "manifest.json").read_text())
    assert manifest["layout"] == {"world": 4, "zero_stage": 3}
    assert manifest["versions"] == versions()
    assert {"dslm", "torch", "deepspeed"} <= manifest["versions"].keys()


def test_a_checkpoint_of_an_earlier_version_says_neither_and_is_read(tmp_path: Path) -> None:
    folder = save(tmp_path, 7)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({key: manifest[key] for key in ("format", "files")}))
    assert wrong(folder) == []
    assert newest_good(tmp_path, verify) == (7, [])


def test_every_byte_read_is_reported(tmp_path: Path) -> None:
    folder = save(tmp_path, 7)
    blocks: list[int] = []
    verify(folder, blocks.append)
    listed = json.loads((folder / "manifest.json").read_text())["files"]
    assert sum(blocks) == sum(file["bytes"] for file in listed.values())


def test_the_newest_checkpoint_comes_first_and_others_names_do_not_count(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        save(tmp_path, step)
    (tmp_path / "step-latest").mkdir()
    (tmp_path / ".step-00000200.partial").mkdir()
    assert [step for step, _ in checkpoints(tmp_path)] == [100, 20, 9]
    assert checkpoints(tmp_path / "nowhere") == []


def test_the_newest_whole_one_is_chosen_and_what_is_wrong_with_newer_ones_is_reported(
    tmp_path: Path,
) -> None:
    for step in (10, 20, 30):
        save(tmp_path, step)
    for step in (20, 30):
        (checkpoint_folder(tmp_path, step) / FILE).unlink()
    step, problems = newest_good(tmp_path, verify)
    assert step == 10
    assert [Path(problem.where).parent.name for problem in problems] == [
        "step-00000030",
        "step-00000020",
    ]


def test_where_none_is_whole_none_is_chosen(tmp_path: Path) -> None:
    (save(tmp_path, 10) / FILE).unlink()
    step, problems = newest_good(tmp_path, verify)
    assert step is None
    assert len(problems) == 1


def test_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (10, 20, 30, 40):
        save(tmp_path, step)
    prune(tmp_path, keep=2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000030", "step-00000040"]
    prune(tmp_path, keep=5)
    assert len(checkpoints(tmp_path)) == 2


@given(
    st.sets(st.integers(0, 200)),
    st.integers(1, 5),
    st.one_of(st.none(), st.integers(1, 50)),
    st.one_of(st.none(), st.integers(0, 200)),
)
def test_what_is_kept_is_the_newest_every_multiple_and_the_best(
    steps: set[int], keep: int, every: int | None, best: int | None
) -> None:
    stay = kept(steps, keep, every, best)
    assert stay <= steps
    assert set(sorted(steps)[-keep:]) <= stay
    for step in steps:
        is_new = sum(other > step for other in steps) < keep
        is_multiple = every is not None and step % every == 0
        assert (step in stay) == (is_new or is_multiple or step == best)
    assert kept(stay, keep, every, best) == stay


def test_what_was_not_finished_is_removed(tmp_path: Path) -> None:
    folder = save(tmp_path, 10)
    for name in (".step-00000020.partial", ".step-00000005.removed"):
        (tmp_path / name).mkdir()
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_checkpoint_that_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    writer = Writer(tmp_path, 3)
    with pytest.raises(OSError, match="are free"):
        writer.begin(1e18)
    writer.remove()
    assert list(tmp_path.iterdir()) == []
