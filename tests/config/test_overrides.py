from __future__ import annotations

from typing import Any

import pytest

from dslm.config.overrides import merge, parse_words
from dslm.errors import ConfigError


def test_words_become_nested_values() -> None:
    words = ["model.layers=4", "model.tied=false", "run=runs/a=b", "seed=", 'data.train={"a": 1}']
    assert parse_words(words) == {
        "model": {"layers": 4, "tied": False},
        "run": "runs/a=b",
        "seed": "",
        "data": {"train": {"a": 1}},
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("null", None),
        ("true", True),
        ("True", "True"),
        ('"5"', "5"),
        ("01", "01"),
        ("[1, 2]", [1, 2]),
    ],
)
def test_a_value_is_read_as_json_where_it_is_json(text: str, value: Any) -> None:
    assert parse_words([f"key={text}"]) == {"key": value}


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["steps"], ["steps: is not key=value; write steps=value"]),
        (["=5"], ["=5: is not key=value"]),
        (["100", "-x"], ["100: is not key=value", "-x: is not key=value"]),
        (["a=1", "a=1"], ["a = '1': is given twice; keep one of the two"]),
        (["a.b=1", "a.b=2"], ["a.b = '2': is given twice; keep one of the two"]),
        (
            ['a={"b": [{"c": 1, "c": 2}]}'],
            ['a = \'{"b": [{"c": 1, "c": 2}]}\': gives \'c\' twice; keep one of the two'],
        ),
        (["a.b=1", "a=2"], ["a = '2': is given twice; keep one of the two"]),
        (["a=1", "a.b.c=2", "d"], ["a.b.c = '2': is given twice; keep one of the two", None]),
    ],
)
def test_words_that_cannot_be_read_are_all_reported(words: list[str], lines: list[Any]) -> None:
    with pytest.raises(ConfigError) as error:
        parse_words(words)
    problems = [str(problem) for problem in error.value.problems]
    assert len(problems) == len(lines)
    assert all(line in (None, said) for line, said in zip(lines, problems, strict=True))


def test_merging_joins_groups_and_replaces_values() -> None:
    base = {"model": {"layers": 2, "width": 8}, "steps": 3, "data": {"train": "a"}}
    over = {"model": {"layers": 4}, "data": {"train": {"b": 1}}, "schedule": {"kind": "x"}}
    merged = merge(base, over)
    assert merged == {
        "model": {"layers": 4, "width": 8},
        "steps": 3,
        "data": {"train": {"b": 1}},
        "schedule": {"kind": "x"},
    }
    assert base["model"] == {"layers": 2, "width": 8}
