"""What the page says of the right and wrong answers of a model of a task."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers.run_folders import LineMaker, RunMaker
from hypothesis import given
from hypothesis import strategies as some

from dslm.errors import DataError
from dslm.report import write_report
from dslm.report.answers import section
from dslm.report.record import read_record
from dslm.tasks.analysis import MOST, POINTS, amounts, by_kind, confusion

WRONG = {"text": "<script>alert(1)</script> & more", "right": "<i>", "predicted": "no", "loss": 2.5}
BASE = {"records": 12, "wrong": 3, "errors": [WRONG]}
RESULT = {"step": 2, "scheme": "none", "data": "test.jsonl", "fingerprint": "d6", "loss": 2.5}


@pytest.fixture
def evaluated(make_run: RunMaker, training: LineMaker) -> Any:
    def make(name: str = "run", **answers: Any) -> Path:
        line = json.dumps({**RESULT, "answers": {**BASE, **answers}})
        return make_run([training(1, 3.0)], {"evaluations.jsonl": f"{line}\n"}, name=name)

    return make


@given(some.lists(some.tuples(some.integers(0, 29), some.integers(0, 29)), min_size=1))
def test_a_confusion_matrix_counts_every_record_and_shows_the_frequent_classes(
    pairs: list[tuple[int, int]],
) -> None:
    gold, found = ([pair[side] for pair in pairs] for side in range(2))
    made = confusion(gold, found, [f"c{number}" for number in range(30)])["confusion"]
    assert len(made["classes"]) == len(made["rows"]) == MOST
    assert made["classes"][-1] == "11 others"
    assert sum(map(sum, made["rows"])) == len(pairs)
    counts = Counter(gold)
    shown = [int(name[1:]) for name in made["classes"][:-1]]
    assert shown == sorted(shown)
    for at, number in enumerate(shown):
        assert sum(made["rows"][at]) == counts[number]
        for to, other in enumerate(shown):
            assert made["rows"][at][to] == pairs.count((number, other))
    hidden = set(range(30)) - {*shown}
    assert max(counts[one] for one in hidden) <= min(counts[one] for one in shown)


def test_few_classes_are_all_shown_in_their_order() -> None:
    made = confusion([2, 2, 0], [2, 1, 0], ["a", "b", "c"])["confusion"]
    assert made == {"classes": ["a", "b", "c"], "rows": [[1, 0, 0], [0, 0, 0], [0, 1, 1]]}


def test_rare_kinds_are_put_together() -> None:
    counted = {f"k{n:02}": (n, n + 1, n + 2) for n in range(MOST + 3)}
    rows = by_kind(counted)["kinds"]
    assert len(rows) == MOST
    assert rows[0] == ["k22", 22 / 23, 22 / 24, pytest.approx(44 / 47), 24]
    assert rows[-1][0] == "4 others"
    assert rows[-1][1:3] == [6 / 10, 6 / 14]
    assert sum(row[-1] for row in rows) == sum(n + 2 for n in range(MOST + 3))


def test_amounts_that_are_no_numbers_are_left_out_and_many_are_thinned() -> None:
    nan = float("nan")
    assert amounts([0.5, 1.0, 2.0], [1.5, nan, -1.0]) == {"amounts": [[0.5, 1.5], [2.0, -1.0]]}
    assert amounts([1.0], [nan]) == {"amounts": []}
    many = amounts([*range(3 * POINTS)], [*range(3 * POINTS)])["amounts"]
    assert len(many) == POINTS
    assert many[1] == [3, 3]


def test_the_page_shows_the_matrix_and_escapes_what_records_hold(evaluated: Any) -> None:
    rows = [[6, 2], [1, 3]]
    run = evaluated(confusion={"classes": ["<b>bold</b>", "no"], "rows": rows})
    page = write_report(run).read_text()
    assert "The model of step 2 answered 3 of 12 records of test.<wbr>jsonl wrong." in page
    assert '<td style="--share: 0.750" class="right">6</td>' in page
    assert '<td style="--share: 0.250">2</td><td>8</td></tr>' in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert "right: <b>&lt;i&gt;</b> · predicted: <b>no</b> · loss 2.50" in page


def test_kinds_are_a_table_and_amounts_points(evaluated: Any) -> None:
    found = section(read_record(evaluated(kinds=[["PER", 1, 0.5, 2 / 3, 4]])))
    assert found is not None
    assert found.kinds[1] == ["PER", "1.000", "0.500", "0.667", "4"]
    found = section(read_record(evaluated("other", amounts=[[0, 1], [2, 0]])))
    assert found is not None
    assert found.verdict == "The model of step 2 predicted the amounts of 12 records of test.jsonl."
    assert found.scatter is not None
    assert (found.scatter.path, found.scatter.ends) == ("M0 500h0M1000 1000h0", ["0", "2"])


def test_the_newest_evaluation_of_a_task_is_shown(evaluated: Any, make_run: Any) -> None:
    run = evaluated()
    lines = [{**RESULT, "step": 3, "answers": {**BASE, "wrong": 1}}, {**RESULT, "fingerprint": "e"}]
    with (run / "evaluations.jsonl").open("a") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)
    found = section(read_record(run))
    assert found is not None
    assert found.verdict == "The model of step 3 answered 1 of 12 records of test.jsonl wrong."


@pytest.mark.parametrize(
    "answers",
    [
        {"confusion": {"classes": ["a"], "rows": [[1, 2]]}},
        {"confusion": {"classes": ["a", "b"], "rows": [[1, 2]]}},
        {"confusion": {"classes": ["a"], "rows": [["x"]]}},
        {"confusion": {"classes": ["a"], "rows": [[1]], "more": 1}},
        {"kinds": [["a", 1]]},
        {"amounts": [[1, "x"]]},
        {"amounts": [[1, 1e400]]},
        {"errors": [{"text": "a"}]},
        {"records": "many"},
    ],
)
def test_what_is_damaged_is_one_clear_error(answers: dict[str, Any], evaluated: Any) -> None:
    with pytest.raises(DataError, match=r"answers: is of another form; .*evaluate.py again"):
        section(read_record(evaluated(**answers)))
