"""What cannot be asked of a run in which not everything learns alike, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from dslm.errors import Problem
from dslm.model.tuning import Tuning
from dslm.parallel.optimizers import check_rates
from dslm.run.check import check_run
from dslm.run.config import RunConfig
from dslm.run.settings import settings
from dslm.train.learned import learned_lines

TASK = "objective.kind=classification objective.classification.labels"


def made(words: str) -> RunConfig:
    needed = ["tiny", "data.train=shards", "run=runs/a", "model.vocabulary=100"]
    return settings([*needed, *words.split()], None)


@pytest.mark.parametrize(
    ("words", "where", "rule"),
    [
        (f"label_smoothing=0.1 {TASK}=amount", "label_smoothing", "needs classes"),
        (f"label_smoothing=0.1 {TASK}=several", "label_smoothing", "needs classes"),
        (
            f"objective.classification.class_weights=balanced {TASK}=several",
            "objective.classification.class_weights",
            "needs labels=one",
        ),
        ("frozen=blocks.9", "frozen", "is not among the blocks"),
        ("frozen=blocks.0 lora.rank=2", "frozen", "goes without saying"),
        ("lora.rank=2 quantization.scheme=w4", "quantization.scheme", "rounds matrices"),
        ("lora.rank=2 model.block=lstm model.heads=null", "lora.rank", "needs linear maps"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(words: str, where: str, rule: str) -> None:
    found = {problem.where: problem for problem in check_run(made(words))}
    assert rule in found[where].rule
    assert found[where].fix


@pytest.mark.parametrize("words", ["lora.rank=2", "layer_rate_decay=0.9"])
def test_muon_takes_neither_adapters_nor_rates_of_layers(words: str) -> None:
    def problems(kind: str) -> list[Problem]:
        return check_rates({"optimizer": {"type": kind}}, made(words).tuning)

    assert [problem.where for problem in problems("Muon")] == [words.partition("=")[0]]
    assert problems("AdamW") == []


@pytest.mark.parametrize(
    ("words", "weights", "parts"),
    [
        ("", {}, []),
        (
            "frozen=embeddings,blocks.0 layer_rate_decay=0.9",
            {},
            ["frozen: embeddings, blocks.0", "rates × 0.9 from block to block"],
        ),
        ("lora.rank=4 lora.alpha=2", {}, ["LoRA of rank 4 × 0.5 on attention"]),
        (
            "label_smoothing=0.1",
            {"no": 0.5, "yes": 1.75},
            ["classes count no 0.5, yes 1.75", "labels smoothed by 0.1", "validation is plain"],
        ),
    ],
)
def test_the_first_screen_says_what_learns(
    words: str, weights: dict[str, Any], parts: list[str]
) -> None:
    config = made(words)
    said = "\n".join(learned_lines(config, weights))
    assert all(part in said for part in parts)
    assert bool(said) == bool(parts)
    if config.tuning != Tuning():
        assert f"{config.tuning.learned(config.model):,} of " in said
