"""Hostfiles and files of variables: read as DeepSpeed's launcher reads them, mistakes reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.paths import ROOT

from dslm.cluster.hostfile import check_environment_files, read_hostfile
from dslm.commands.cli import run
from dslm.commands.hosts import main

RIGHT = [
    "a slots=2\n",
    "# two hosts\na slots=2\n\n  b\tslots=16  \n",
    "a.example.org slots=8 # the fast one\n10.0.0.7 slots=08 max_slots=8\n#c slots=1\n",
    "a slots=2 slots=4\nb-1_x   slots=1",
]
WRONG = {
    "": "names no host",
    "# nobody\n": "names no host",
    "a\n": "hosts:1 = 'a': is no host with its slots",
    "a slots=2\nb:4\n": "hosts:2 = 'b:4': is no host",
    "a slots=two\n": "hosts:1",
    "a slots = 2\n": "hosts:1",
    "slots=2\n": "hosts:1",
    "a slots=2\n\na slots=4\n": "hosts:3 = 'a': stands there twice",
}
STRICTER = {
    "a slots=0\n": "no rank would start there",
    "a slots=2x\n": "is no host with its slots",
    "a slots=1,000\n": "is no host with its slots",
    "-oProxyCommand=x slots=1\n": "is no name of a host",
}
"""What DeepSpeed takes, and waits for ever, starts too few ranks, or runs a command of the file."""


def by_deepspeed(text: str) -> dict[str, int]:
    from deepspeed.launcher.runner import _parse_hostfile

    return dict(_parse_hostfile(text.splitlines()))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hosts"


@pytest.mark.parametrize("text", RIGHT)
def test_hosts_and_slots_are_those_that_deepspeed_reads(text: str, file: Path) -> None:
    file.write_text(text)
    assert read_hostfile(file) == (by_deepspeed(text), [])


@pytest.mark.parametrize("text", WRONG)
def test_what_deepspeed_refuses_is_reported_with_its_line(text: str, file: Path) -> None:
    with pytest.raises(ValueError):
        by_deepspeed(text)
    file.write_text(text)
    (problem,) = read_hostfile(file)[1]
    assert WRONG[text] in str(problem)


@pytest.mark.parametrize("text", STRICTER)
def test_what_deepspeed_takes_but_cannot_start_is_reported(text: str, file: Path) -> None:
    assert by_deepspeed(text)
    file.write_text(text)
    (problem,) = read_hostfile(file)[1]
    assert STRICTER[text] in str(problem)


def test_all_mistakes_are_reported_at_once(file: Path) -> None:
    file.write_text("a slots=0\nb\na slots=1\nc slots=1\n")
    hosts, problems = read_hostfile(file)
    assert [problem.where for problem in problems] == [f"{file}:{line}" for line in (1, 2, 3)]
    assert hosts == {"a": 0, "c": 1}


def test_a_missing_file_is_a_mistake(file: Path) -> None:
    (problem,) = read_hostfile(file)[1]
    assert "deepspeed would go on with this machine alone" in str(problem)


def test_the_examples_are_right() -> None:
    assert read_hostfile(ROOT / "launch/hosts.example") == ({"node1": 8, "node2": 8}, [])
    assert check_environment_files([ROOT / "launch/deepspeed_env.example"]) == []


def test_lines_at_which_the_launcher_crashes_are_reported(file: Path) -> None:
    file.write_text("A=1\n\n# why\nB = 2\n")
    lines = [problem.where for problem in check_environment_files([file, file.with_name("no")])]
    assert lines == [f"{file}:{line}" for line in (2, 3, 4)]


@pytest.mark.parametrize("text", [None, "", "a\n", "a 2\nb:2\n"])
def test_the_command_ends_with_2_where_no_host_can_be_asked(
    text: str | None, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        file.write_text(text)
    assert run(main, [str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count(f"error: {file}") == max(1, (text or "").count("\n"))
