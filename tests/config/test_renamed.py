"""Keys of an earlier version."""

from __future__ import annotations

from dslm.config.renamed import with_current_names

NAMES = {"start": "init_from", "model.code_length": "model.bottleneck_length"}


def test_old_names_become_those_of_today_at_any_depth() -> None:
    before = {"start": "runs/a", "model": {"code_length": 4, "layers": 2}, "steps": 1}
    after = {"init_from": "runs/a", "model": {"bottleneck_length": 4, "layers": 2}, "steps": 1}
    assert with_current_names(before, NAMES) == after
    assert before["model"] == {"code_length": 4, "layers": 2}


def test_names_of_today_stay_and_win() -> None:
    values = {"start": "before", "init_from": "today", "model": {}}
    assert with_current_names(values, NAMES) == {"init_from": "today", "model": {}}


def test_what_is_no_block_is_left_to_the_checks() -> None:
    assert with_current_names({"model": 3}, NAMES) == {"model": 3}
