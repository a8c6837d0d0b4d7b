"""Help that can be used: a line to copy, and what holds where an option is not given."""

from __future__ import annotations

import argparse
import importlib
import shlex

import pytest

from dslm.commands.cli import Parser
from dslm.commands.main import COMMANDS, dispatch

BY_OTHERS = {"builtin-corpus", "train-tokenizer", "shard", "data", "pretrain"}
"""Commands whose help has a form of its own."""
VERBS = {
    "checkpoint": ["list", "verify", "show", "diff", "prune"],
    "hub": ["import", "export"],
    "inspect": ["memory", "bias"],
}
ASKED = [
    [name, *more]
    for name in COMMANDS
    if name not in BY_OTHERS
    for more in ([[verb] for verb in VERBS[name]] if name in VERBS else [[]])
]
ASKED.append(["inspect"])  # which also does something without a verb


@pytest.fixture
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Parser:
    """The parser that a command shows as its help."""
    shown: list[Parser] = []
    monkeypatch.setattr(Parser, "print_help", lambda self, _=None: shown.append(self))
    with pytest.raises(SystemExit):
        dispatch([*request.param, "--help"])
    return shown[0]


@pytest.mark.parametrize("parser", ASKED, indirect=True, ids=" ".join)
def test_help_says_what_holds_where_an_option_is_not_given(parser: Parser) -> None:
    formatter = parser._get_formatter()
    for action in parser._actions:
        optional = action.option_strings and not action.required and action.nargs != 0
        if optional and action.help != argparse.SUPPRESS:
            text = formatter._expand_help(action)
            assert "default" in text or "(required)" in text, action.option_strings


@pytest.mark.parametrize("parser", ASKED, indirect=True, ids=" ".join)
def test_help_ends_in_a_line_that_the_command_can_read(parser: Parser) -> None:
    assert parser.epilog is not None
    assert parser.epilog.startswith("example:\n  ")
    words = shlex.split(parser.epilog.removeprefix("example:\n").replace("\\\n", " "))
    verbs = VERBS.get(words[1], [])
    parser.parse_args([word for word in words[2:] if word not in verbs])


def test_every_verb_is_asked() -> None:
    for name, verbs in VERBS.items():
        assert list(importlib.import_module(f"dslm.commands.{name}").VERBS) == verbs


def test_a_default_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser("tool", "A tool.", "tool --rows 3")
    parser.add_argument("--rows", type=int, default=64, help="rows")
    parser.add_argument("--seed", type=int, default=0, help="decides the draws")
    parser.add_argument("--top", type=int, help="most (default: all)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.print_help()
    printed = capsys.readouterr().out
    for line in ("rows (default 64)", "decides the draws (default 0)", "most (default: all)"):
        assert line in printed
    assert printed.count("default") == 3
    assert printed.endswith("example:\n  tool --rows 3\n")
