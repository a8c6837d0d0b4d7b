"""The page about errors quotes what the code prints, so that it can be searched for."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest
from helpers.paths import ROOT

from dslm.config.help import keys
from dslm.parallel.deepspeed_json.overrides import SHORT
from dslm.run.config import RunConfig

PAGE = ROOT / "docs" / "troubleshooting.md"
ROW = re.compile(r"^\| (`.*?) \|", re.MULTILINE)
QUOTE = re.compile(r"`([^`]+)`")
FOREIGN = re.compile(r"\((Python|MPI)'s\)$")
"""What ends the first cell of a row about a message of another program."""


def quotes() -> list[str]:
    """What the page says that dslm prints: each piece between names and numbers."""
    cells = [cell for cell in ROW.findall(PAGE.read_text()) if not FOREIGN.search(cell)]
    return [quote for cell in cells for quote in QUOTE.findall(cell)]


@cache
def printed() -> list[str]:
    """Every text that stands in the code, those within f-strings too, but no docstring."""
    found = []
    for path in (ROOT / "dslm").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found += [] if id(node) in alone else [node.value]
    return found


@pytest.mark.parametrize("quote", quotes())
def test_every_message_of_the_page_stands_in_the_code(quote: str) -> None:
    assert any(quote in text for text in printed())


def test_the_page_is_short_and_every_row_says_what_to_do() -> None:
    text = PAGE.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) >= 25
    assert len(text.splitlines()) <= 120
    for row in rows:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        assert len(cells) == 3, row
        assert all(cells), row


def test_every_setting_that_the_page_names_exists() -> None:
    known = {key.name for key in keys(RunConfig).values()} | set(SHORT)
    named = re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)=", PAGE.read_text())
    assert len(named) > 5
    assert set(named) <= known


def test_a_quote_that_nothing_prints_is_noticed() -> None:
    assert not any("is not what any program prints" in text for text in printed())
