from __future__ import annotations

from typing import Any

import pytest

from dslm.config.parse import parse
from dslm.run.check import check_run
from dslm.run.config import RunConfig

MODEL = {"layers": 2, "heads": 6, "width": 36, "sequence": 24}


def config(model: dict[str, Any], ranks: int, **changes: Any) -> RunConfig:
    given = {"preset": "tiny", "data": {"train": "shards"}, "steps": 10, "run": "run", **changes}
    values = {**given, "model": {**MODEL, **model}, "sequence_parallel": ranks}
    return parse(RunConfig, values)


@pytest.mark.parametrize("ranks", [1, 2, 3, 6])
def test_ranks_that_divide_sequence_and_heads_can_share_rows(ranks: int) -> None:
    assert check_run(config({"key_value_heads": 2}, ranks)) == []


@pytest.mark.parametrize(
    ("model", "ranks", "rule", "fix"),
    [
        ({}, 4, "does not divide model.heads = 6", "use 2 or 3"),
        ({}, 9, "does not divide model.sequence = 24 and model.heads = 6", "use 3 or 6"),
        ({"heads": 4}, 8, "does not divide model.heads = 4", "use 2 or 4"),
        ({"head_width": 8, "width": 33}, 2, "does not divide model.width = 33", "use 1, or"),
        ({"block": "gru", "heads": None, "activation": "gelu"}, 2, "reads token after", "leave it"),
    ],
)
def test_what_cannot_be_cut_evenly_is_named_with_what_can(
    model: dict[str, Any], ranks: int, rule: str, fix: str
) -> None:
    (problem,) = check_run(config(model, ranks))
    assert problem.where == "sequence_parallel"
    assert rule in problem.rule
    assert fix in str(problem.fix)


def test_a_code_is_cut_as_its_row_is() -> None:
    changes = {"objective": {"kind": "autoencoder"}}
    model = {"attention": "full", "bottleneck_length": 8}
    assert check_run(config(model, 2, **changes)) == []
    (problem,) = check_run(config(model, 3, **changes))
    assert "model.bottleneck_length = 8" in problem.rule
    assert "use 1 or 2" in str(problem.fix)


def test_rows_whose_tokens_are_compared_are_not_shared() -> None:
    model = {"attention": "full", "segments": 2}
    problems = check_run(config(model, 2, objective={"kind": "questions"}))
    (problem,) = (one for one in problems if one.where == "sequence_parallel")
    assert "objective.kind = questions" in problem.rule
    assert problem.fix == "leave it out"
