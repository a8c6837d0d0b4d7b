"""Every command under one name, and how a command is added."""

from __future__ import annotations

import ast
import importlib
import sys
from types import ModuleType

import pytest
from helpers.paths import ROOT

from dslm.commands import main as module
from dslm.commands.cli import run
from dslm.commands.main import COMMANDS, dispatch

OTHERS = {"main", "cli"}
"""Modules with a function `main` or what runs it, which are no commands."""


def has_main(name: str) -> bool:
    tree = ast.parse((ROOT / "dslm" / "commands" / f"{name}.py").read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)


def test_every_module_with_a_main_is_a_command_and_the_other_way_round() -> None:
    names = {path.stem for path in (ROOT / "dslm" / "commands").glob("*.py")} - {"__init__"}
    found = {name.replace("_", "-") for name in names - OTHERS if has_main(name)}
    assert found == set(COMMANDS)


def test_a_command_is_added_by_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[list[str]] = []
    added = ModuleType("dslm.commands.count_words")
    monkeypatch.setattr(added, "main", seen.append, raising=False)
    monkeypatch.setitem(sys.modules, "dslm.commands.count_words", added)
    monkeypatch.setattr(module, "COMMANDS", {**COMMANDS, "count-words": "count the words"})
    assert run(dispatch, ["count-words", "--input", "a.txt"]) == 0
    assert seen == [["--input", "a.txt"]]
    assert run(dispatch, []) == 0
    assert "  count-words      count the words\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_is_for(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert importlib.import_module(f"dslm.commands.{name.replace('-', '_')}").__doc__
    try:
        code: object = run(dispatch, [name, "--help"])
    except SystemExit as ended:  # from argparse
        code = ended.code
    assert code == 0
    assert capsys.readouterr().out


def test_a_misspelt_command_is_reported_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(dispatch, ["shrad"]) == 2
    assert "there is no such command; did you mean 'shard'?" in capsys.readouterr().err
