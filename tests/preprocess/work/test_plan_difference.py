from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from helpers.work_plan import PLAN

from dslm.preprocess.work.plan_difference import differences, refuse_other


def other(**blocks: Any) -> dict[str, Any]:
    return {**copy.deepcopy(PLAN), **blocks}


def reported(**blocks: Any) -> list[str]:
    return list(differences(PLAN, other(**blocks)))


def test_two_plans_alike_differ_in_nothing() -> None:
    assert reported() == []


def test_inputs_are_named_that_are_others_than_before() -> None:
    assert reported(inputs=[["a.jsonl", "11@1"], ["c.jsonl", "20@2"]]) == [
        "input a.jsonl has changed",
        "input b.jsonl is missing",
        "input c.jsonl is new",
    ]
    assert reported(inputs=PLAN["inputs"][::-1]) == ["the inputs had another order"]


def test_settings_are_called_as_the_user_calls_them() -> None:
    settings = {"shard_size": 300, "reading": {"text_key": "body", "documents": "file"}}
    assert reported(settings=settings) == ["reading.text_key was 'text'"]


def test_a_version_that_made_the_work_is_reported() -> None:
    assert reported(made_with={"numpy": "2.1"}) == ["made_with.numpy was '2.0'"]
    assert list(differences({**PLAN, "made_with": {}}, PLAN)) == ["made_with.numpy was None"]


def test_of_many_differences_the_first_are_named() -> None:
    inputs = [[f"{number}.txt", "1@1"] for number in range(9)]
    error = str(refuse_other(Path("work"), PLAN, other(inputs=inputs)))
    assert "input a.jsonl is missing, input b.jsonl is missing, input 0.txt is new" in error
    assert "input 2.txt is new, and 6 more; repeat that command" in error


def test_work_of_a_version_with_other_files_is_refused_by_that_alone() -> None:
    error = str(refuse_other(Path("work"), PLAN, other(format=2, made_with={"numpy": "2.1"})))
    assert "work: holds unfinished work of another version of dslm; finish it with that" in error
    assert "numpy" not in error
