"""DeepSpeed's JSON changed by words of the command line."""

from __future__ import annotations

from typing import Any

import pytest

from dslm.errors import ConfigError, Problem
from dslm.parallel.deepspeed_json.overrides import Overrides, belongs, homes

MICRO, ROUNDS, BATCH = (
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "train_batch_size",
)
FILE = {
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "betas": [0.9, 0.95]}},
    "zero_optimization": {"stage": 1},
}


def changed(*words: str, **more: Any) -> dict[str, Any]:
    return Overrides.read(words).applied({**FILE, **more})


@pytest.mark.parametrize(
    ("word", "path", "value"),
    [
        ("lr=3e-4", "optimizer.params.lr", 3e-4),
        ("ds.optimizer.params.lr=3e-4", "optimizer.params.lr", 3e-4),
        ("optimizer.params.lr=3e-4", "optimizer.params.lr", 3e-4),
        ("zero_optimization.stage=2", "zero_optimization.stage", 2),
        ("ds.bf16.enabled=true", "bf16.enabled", True),
        ("ds.optimizer.type=Lion", "optimizer.type", "Lion"),
        ('ds.optimizer.params={"lr": 1, "eps": 2}', "optimizer.params.eps", 2),
        ("ds.zero_optimization.offload_optimizer.device=cpu", "", None),
    ],
)
def test_a_word_changes_its_key_and_no_other(word: str, path: str, value: Any) -> None:
    made: Any = changed(word)
    for name in path.split(".") if path else ():
        made = made[name]
    assert not path or made == value
    assert changed(word)["optimizer"]["params"]["betas"] == [0.9, 0.95]
    assert FILE["optimizer"]["params"]["lr"] == 1e-3  # type: ignore[index]


def test_null_removes_a_key() -> None:
    made = changed("ds.optimizer.params.betas=null", "ds.zero_optimization=null", "ds.aio=null")
    assert made == {"optimizer": {"type": "AdamW", "params": {"lr": 1e-3}}}


SIZES = {MICRO: 8, ROUNDS: 2, BATCH: 64}


@pytest.mark.parametrize(
    ("file", "words", "left"),
    [
        ((MICRO, ROUNDS), ["batch=128"], {BATCH: 128, MICRO: 8}),
        ((MICRO, ROUNDS, BATCH), ["batch=128"], {BATCH: 128, MICRO: 8}),
        ((ROUNDS, BATCH), ["batch=128"], {BATCH: 128, ROUNDS: 2}),
        ((BATCH,), ["batch=128"], {BATCH: 128}),
        ((MICRO, ROUNDS), [f"{MICRO}=4"], {MICRO: 4, ROUNDS: 2}),
        ((MICRO, BATCH), [f"{MICRO}=4"], {MICRO: 4, BATCH: 64}),
        ((ROUNDS, BATCH), [f"{MICRO}=4"], {MICRO: 4, BATCH: 64}),
        ((MICRO, ROUNDS, BATCH), [f"{MICRO}=4"], {MICRO: 4, BATCH: 64}),
        ((MICRO, BATCH), [f"{ROUNDS}=4"], {ROUNDS: 4, BATCH: 64}),
        ((MICRO, ROUNDS), [f"{ROUNDS}=4"], {ROUNDS: 4, MICRO: 8}),
        ((MICRO, ROUNDS, BATCH), [f"{MICRO}=4", f"{ROUNDS}=4"], {ROUNDS: 4, MICRO: 4}),
        ((MICRO, ROUNDS, BATCH), ["lr=1"], SIZES),
        ((MICRO, ROUNDS, BATCH), ["batch=null"], {MICRO: 8, ROUNDS: 2}),
        ((MICRO, ROUNDS, BATCH), [f"{MICRO}=null"], {ROUNDS: 2, BATCH: 64}),
        ((MICRO, ROUNDS), ["batch=null"], {MICRO: 8, ROUNDS: 2}),
        ((MICRO, ROUNDS, BATCH), [f"{MICRO}=null", "batch=128"], {ROUNDS: 2, BATCH: 128}),
    ],
)
def test_a_batch_size_that_is_typed_outweighs_those_of_the_file(
    file: tuple[str, ...], words: list[str], left: dict[str, int]
) -> None:
    made = changed(*words, **{key: SIZES[key] for key in file})
    assert {key: made[key] for key in SIZES if key in made} == left


def test_a_key_that_is_given_in_two_ways_is_given_twice() -> None:
    with pytest.raises(ConfigError) as caught:
        Overrides.read(["lr=1", "ds.optimizer.params.lr=2"])
    (problem,) = caught.value.problems
    assert problem.rule == "is given twice"


def test_a_problem_is_named_as_it_was_typed() -> None:
    made = Overrides.read(["lr=0", "ds.bf16.enabled=1", 'ds.aio={"block": 1}'])
    names = {
        "optimizer.params.lr": "lr",
        "bf16.enabled": "ds.bf16.enabled",
        "aio.block": "ds.aio.block",
        "optimizer.params.eps": "optimizer.params.eps",
    }
    assert {where: made.named(Problem(where, None, "")).where for where in names} == names


def test_a_rate_that_the_optimizer_does_not_read_is_refused() -> None:
    file = {"optimizer": {"type": "Muon", "params": {"muon_lr": 0.02, "adam_lr": 1e-3}}}
    overrides = Overrides.read(["lr=1e-3"])
    (problem,) = overrides.problems(file, overrides.applied(file))
    assert "muon_lr and adam_lr" in problem.rule
    assert overrides.problems(FILE, overrides.applied(FILE)) == []


@pytest.mark.parametrize(
    ("word", "where", "fix"),
    [
        ("ds.gradient_cliping=null", "gradient_cliping", "did you mean 'gradient_clipping'?"),
        ("ds.optimizer.params.bets=null", "optimizer.params.bets", "'optimizer.params.betas'?"),
        ('ds.optimizer.params={"bets": null}', "optimizer.params.bets", "'optimizer.params.betas'"),
        ("ds.xyzzy=null", "xyzzy", "leave it out"),
        ("ds.gradient_clipping=null", "", ""),
        ("ds.scheduler=null", "", ""),
        ("ds.colour.shade=null", "", ""),
    ],
)
def test_null_for_what_no_json_has_is_refused(word: str, where: str, fix: str) -> None:
    file = {**FILE, "colour": {"shade": 1}}
    overrides = Overrides.read([word])
    found = overrides.problems(file, overrides.applied(file))
    assert [problem.where for problem in found] == [where][: bool(where)]
    assert all(fix in problem.fix for problem in found)


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        ("lr", True),
        ("ds.anything", True),
        ("optimizer.type", True),
        ("train_batch_size", True),
        ("scheduler.type", True),
        ("zero_optimisation.stage", True),
        ("tensorboard", False),
        ("steps", False),
        ("model.layers", False),
        ("stpes", False),
    ],
)
def test_the_words_for_the_json_are_known_by_their_keys(key: str, is_one: bool) -> None:
    assert belongs(key, ("steps", "model", "tensorboard")) is is_one


def test_a_key_in_a_block_is_found_by_its_name() -> None:
    assert homes("weight_decay") == ["optimizer.params.weight_decay"]
    assert homes("stage") == ["zero_optimization.stage"]
    assert len(homes("enabled")) > 2
