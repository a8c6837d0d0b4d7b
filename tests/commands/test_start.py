"""How commands begin: under any Python, by any name, with the versions of what they use."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT

from dslm.commands import start
from dslm.commands.cli import run
from dslm.commands.main import dispatch

SCRIPTS = sorted([*(ROOT / "launch").glob("*.py"), *(ROOT / "preprocess").glob("*.py")])


def without_packages(script: Path) -> subprocess.CompletedProcess[str]:
    """A script run by a Python that has nothing installed."""
    return subprocess.run(
        [sys.executable, "-S", str(script), "tiny"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.defpath},
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_without_its_packages_says_what_to_install(script: Path) -> None:
    done = without_packages(script)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: \w+: is not installed for .*pip install -e \.\)\n", done.stderr)


def test_a_module_of_our_own_that_is_missing_is_our_fault() -> None:
    def main(_: list[str]) -> None:
        raise ModuleNotFoundError("No module named 'dslm.nothing'", name="dslm.nothing")

    with pytest.raises(ModuleNotFoundError):
        run(main, [])


def test_a_python_that_is_too_old_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start.sys, "version_info", (3, 9, 18))
    with pytest.raises(SystemExit) as ended:
        start.start("pretrain")
    assert ended.value.code == 2
    assert capsys.readouterr().err == ("error: Python 3.9: is too old: dslm needs 3.10 or newer\n")


def test_what_is_needed_is_what_the_package_says() -> None:
    needed = ".".join(map(str, start.NEEDED))
    text = (ROOT / "pyproject.toml").read_text()
    assert f'requires-python = ">={needed}"' in text


def test_the_versions_are_told_without_loading_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(dispatch, ["--version"]) == 0
    named = r"dslm [\d.]+ · torch \S+ · deepspeed \S+ · python 3[\d.]+\n"
    assert re.fullmatch(named, capsys.readouterr().out)


def test_the_package_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dslm", "shrad"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert done.stderr == "error: dslm = 'shrad': there is no such command; did you mean 'shard'?\n"


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Our Makefile in a folder without an environment, also where make runs these tests."""
    alone = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFL"))}
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    command = ["make", *words]
    return subprocess.run(
        command, cwd=folder, env=alone, capture_output=True, text=True, timeout=60
    )


def test_make_lists_what_it_makes_and_nothing_else(tmp_path: Path) -> None:
    done = make(tmp_path)
    assert done.returncode == 0
    assert all(line.startswith("make ") for line in done.stdout.splitlines())
    assert "make demo " in done.stdout


def test_make_refuses_a_python_that_is_too_old_at_once(tmp_path: Path) -> None:
    old = tmp_path / "python-of-before"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make(tmp_path, "demo", f"BASE_PYTHON={old}")
    assert done.returncode == 2
    assert f"BASE_PYTHON = {old}: dslm needs Python 3.10 or newer" in done.stderr
    assert not (tmp_path / ".venv").exists()
