"""How each objective has a prompt completed."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.objective_kinds import SPECIAL, made

from dslm.inference.prompts import check_prompt
from dslm.objectives.completion import Continue, Fill
from dslm.tokenizers.pair_frame import PairFrame

WITHOUT_CLS = {name: SPECIAL[name] for name in ("eos", "mask")}


def test_a_causal_model_continues() -> None:
    assert made("causal").completion() == Continue()


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, Fill(mask=5, begin=3, end=1)),
        ({"pairs": "next_sentence"}, Fill(mask=5, begin=3, end=4)),
        ({"special": WITHOUT_CLS}, Fill(mask=5)),
        ({"special": {}}, Fill(mask=100)),
    ],
)
def test_a_masked_model_fills_masks_between_the_ids_of_training(
    settings: dict[str, Any], wanted: Fill
) -> None:
    assert made("masked", 16, **settings).completion() == wanted


@pytest.mark.parametrize(
    ("style", "marks", "in_place"),
    [
        ("spans", (102, 103), True),
        ("infilling", (5,), False),
        ("masking", (5,), False),
        ("deletion", (), False),
    ],
)
def test_a_denoising_model_restores_as_many_gaps_as_in_training(
    style: str, marks: tuple[int, ...], in_place: bool
) -> None:
    objective = made("denoising", 40, style=style)
    how = objective.completion()
    assert how.frame == PairFrame(begin=100, end=101)
    assert how.size == 100 + objective.extra_ids
    assert (how.marks, how.in_place) == (marks, in_place)
    assert ("<mask>" in how.example) == (style != "deletion")
    source, target = objective.corruption.lengths(objective.window.width)
    assert source <= how.longest == 40 - target - 1


def test_an_autoencoder_is_asked_for_nothing() -> None:
    nothing: Any = None
    (problem,) = check_prompt("a", nothing, made("autoencoder"), nothing, "runs/code")
    assert str(problem).startswith("runs/code: was not trained to complete a text")
    assert "objective.kind=causal" in problem.fix
