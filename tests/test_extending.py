"""Every change that docs/extending.md shows is a whole one: applied to a copy, it works."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.extending import add, applied, changes, ran
from helpers.paths import ROOT

CHANGES = changes()
ONE_FILE_AND_ONE_LINE = ["An objective", "A cleaning rule", "A reader", "A model family"]


def test_the_page_shows_what_it_promises() -> None:
    assert list(CHANGES) == [*ONE_FILE_AND_ONE_LINE, "A schedule", "A metric"]


@pytest.mark.parametrize("name", ONE_FILE_AND_ONE_LINE)
def test_it_is_one_new_file_and_one_line(name: str) -> None:
    assert len(CHANGES[name].files) == 1
    assert len(CHANGES[name].added) == 1


@pytest.mark.parametrize("name", CHANGES)
def test_the_change_works(name: str, tmp_path: Path) -> None:
    library = applied(CHANGES[name], tmp_path)
    (tmp_path / "check.py").write_text(CHANGES[name].check)
    assert "assert" in CHANGES[name].check
    done = ran(library, "check.py")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", CHANGES)
def test_the_check_fails_without_the_change(name: str, tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text(CHANGES[name].check)
    assert ran(tmp_path, "check.py").returncode != 0


@pytest.mark.slow
def test_the_changes_have_the_style_and_the_types_of_the_library(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "dslm", tmp_path / "dslm")
    for change in CHANGES.values():
        add(change, tmp_path)
    settings = str(ROOT / "pyproject.toml")
    for command in (
        ["ruff", "check", "--config", settings, "dslm"],
        ["ruff", "format", "--check", "--config", settings, "dslm"],
        ["mypy", "--config-file", settings],
    ):
        done = ran(tmp_path, "-m", *command, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
