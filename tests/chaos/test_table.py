"""The table of faults: verdicts, rows, and what is printed of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.paths import ROOT

from dslm.chaos.fault import KINDS, Fault, Orders
from dslm.chaos.rows import ROWS
from dslm.chaos.table import THEIRS, Outcome, line, markdown, summary, verdict

SURVIVED = Outcome("2", "kill -9", "survived", 75.0, (), "folder")


@pytest.mark.parametrize(
    ("holds", "stuck", "code", "expected"),
    [
        ([True, True], False, 0, "survived"),
        ([True, True], False, 1, "survived"),
        ([True, False], False, 1, "loud"),
        ([True, False], False, 0, "silent"),
        ([True, True], True, 1, "stuck"),
    ],
)
def test_a_verdict_is_what_a_user_would_say(
    holds: list[bool], stuck: bool, code: int, expected: str
) -> None:
    assert verdict([("claim", held) for held in holds], stuck, code) == expected


def test_every_row_has_a_key_of_its_own_and_figures_of_the_peers() -> None:
    assert [row.key for row in ROWS] == list(THEIRS)
    assert len(ROWS) == 18


def test_orders_reach_a_rank_as_they_were_given() -> None:
    orders = Orders("rows", tuple(Fault(kind, 1, 8) for kind in KINDS), 0.5)
    assert Orders.of(orders.text()) == orders


def test_what_did_not_hold_is_printed() -> None:
    failed = replace(SURVIVED, verdict="silent", failed=("it says so",))
    assert line(SURVIVED).split() == ["2", "kill", "-9", "survived", "1m15s"]
    assert line(failed).splitlines()[1].split(": ") == ["      not so", "it says so"]
    assert summary([SURVIVED, failed]) == "1 of 2 survived, 0 loud, 0 stuck, 1 silent"


def test_the_table_of_the_docs_has_every_row() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    outcomes = [replace(SURVIVED, key=row.key, name=row.name) for row in ROWS]
    for expected in markdown(outcomes).splitlines()[2:]:
        key, name, own, _, *peers = (cell.strip() for cell in expected.strip("|").split("|"))
        found = [part for part in page.splitlines() if part.startswith(f"| {key} | {name} | {own}")]
        assert len(found) == 1, (key, name)
        assert [cell.strip() for cell in found[0].strip("|").split("|")][4:] == peers
