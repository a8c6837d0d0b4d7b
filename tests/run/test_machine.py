"""Which machine and which code made a run, as far as the system says it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import dslm
from dslm.run import machine


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> Iterator[None]:
    for cached in (machine.device_names, machine.code_version):
        cached.cache_clear()
    yield
    for cached in (machine.device_names, machine.code_version):
        cached.cache_clear()


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code, as far as its version goes, in a repository."""
    package = tmp_path / "code" / "dslm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(dslm, "__file__", str(package / "__init__.py"))
    git(package.parent, "init")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-m", "first")
    return package


def test_the_commit_is_that_of_the_code(code: Path) -> None:
    found = machine.code_version()
    assert len(found["commit"]) == 40
    assert found["dirty"] is False


def test_changes_of_the_code_are_noted_and_other_files_are_not(code: Path) -> None:
    (code / "notes.txt").write_text("to do")
    assert machine.code_version()["dirty"] is False
    machine.code_version.cache_clear()
    (code / "__init__.py").write_text("changed")
    assert machine.code_version()["dirty"] is True


def test_code_installed_within_another_repository_has_no_commit(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = code.parent / "lib" / "dslm" / "__init__.py"
    installed.parent.mkdir(parents=True)
    monkeypatch.setattr(dslm, "__file__", str(installed))
    assert machine.code_version() == {}


def test_without_git_nothing_is_known_and_nothing_fails(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert machine.code_version() == {}


def test_gpus_are_named_by_their_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "GPUS", tmp_path)
    assert machine.device_names(cpu=False) == ""
    machine.device_names.cache_clear()
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "information").write_text("Model: \t NVIDIA H200\nIRQ: 5\n")
    assert machine.device_names(cpu=False) == "NVIDIA H200"


def test_the_processor_is_named_with_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: A Processor\n")
    monkeypatch.setattr(machine, "PROCESSORS", file)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert machine.device_names(cpu=True) == "A Processor, 2 cores"


def test_where_a_process_may_use_every_core_all_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "_field", lambda *_: "A Processor")
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert machine.device_names(cpu=True) == "A Processor, 1 core"
