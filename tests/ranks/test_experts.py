"""A mixture of experts trains at every layout as on one rank, with the losses of its routers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

pytestmark = pytest.mark.ranks

HALF, STEPS = 10, 20
SHAPE = ["model.width=32", "model.experts=4", "model.router_balance_loss=1"]
"""The losses of the routers weigh so much that what is wrong with them shows in all others."""
SCHEDULE = ["schedule.kind=constant", "schedule.warmup_steps=2", "log_interval=1"]
MEASURED = "loss", "router_balance_loss", "router_z_loss", "largest_expert_share"
SHARED = ["expert_parallel=2"]
RECOMPUTED = ["model.recompute=true"]


def train(
    folder: Path,
    words: list[str],
    ranks: int,
    stage: int,
    *more: str,
    steps: int = STEPS,
    **changes: object,
) -> Ended:
    others = ("model.width=", "evaluation_interval=")
    words = [word for word in words if not word.startswith(others)]
    words += [*SHAPE, *SCHEDULE, *more, f"steps={steps}", f"evaluation_interval={HALF}"]
    ended = launch(folder, words, deepspeed(stage, **changes), ranks)
    assert ended.code == 0, ended.messages
    return ended


@pytest.fixture(scope="module")
def validation(shards: Path) -> str:
    """The setting that has both of the next measure something."""
    return f"data.validation={shards}"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, words: list[str], validation: str) -> Ended:
    """20 steps on one rank."""
    return train(tmp_path_factory.mktemp("known") / "run", words, 1, 0, validation)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, words: list[str], validation: str) -> Ended:
    """The first 10 of them by two ranks that have two of the four experts each."""
    folder = tmp_path_factory.mktemp("half") / "run"
    return train(folder, words, 2, 2, *SHARED, validation, steps=HALF)


def differences(ended: Ended, known: Ended) -> Iterator[str]:
    """What differs from one rank by more than a layout may change."""
    for key in MEASURED:
        found, wanted = ended.metrics(key), known.metrics(key)[: len(ended.metrics(key))]
        if found[0] != pytest.approx(wanted[0], rel=1e-6):
            yield f"first {key}: {found[0]} {wanted[0]}"
        if found != pytest.approx(wanted, rel=1e-4):
            yield f"{key}: {found} {wanted}"
    norms = ended.metrics("gradient_norm")
    if norms != pytest.approx(known.metrics("gradient_norm")[: len(norms)], rel=1e-3):
        yield f"gradient norm: {norms}"


def test_the_model_learns_and_its_routers_are_measured(known: Ended) -> None:
    losses = known.metrics()
    assert len(losses) == STEPS
    assert losses[-1] < losses[0] - 0.3
    assert all(0.25 <= share <= 1 for share in known.metrics("largest_expert_share"))
    assert all(balance > 0.9 for balance in known.metrics("router_balance_loss"))
    assert "2 of 4 experts" in known.messages


@pytest.mark.parametrize(
    ("stage", "more", "micro"),
    [
        (0, RECOMPUTED, 4),
        (3, [], 2),
        (1, ["pipeline_stages=2"], 2),
        (2, ["tensor_parallel=2"], 2),
        (3, ["sequence_parallel=2"], 2),
    ],
)
def test_every_layout_gives_the_losses_of_one_rank(
    stage: int, more: list[str], micro: int, known: Ended, tmp_path: Path, words: list[str]
) -> None:
    ended = train(tmp_path / "run", words, 2, stage, *more, train_micro_batch_size_per_gpu=micro)
    assert not list(differences(ended, known))


def test_ranks_that_share_the_experts_give_the_losses_of_one(half: Ended, known: Ended) -> None:
    assert len(half.metrics()) == HALF
    assert not list(differences(half, known))
    validation = half.metrics("validation_loss"), known.metrics("validation_loss")[:1]
    assert validation[0] == pytest.approx(validation[1], rel=1e-4)


@pytest.mark.parametrize(
    ("ranks", "stage", "more"),
    [(1, 0, []), (2, 3, []), (2, 1, SHARED), (2, 1, ["pipeline_stages=2"])],
)
def test_a_run_of_shared_experts_goes_on_at_another_layout(
    ranks: int,
    stage: int,
    more: list[str],
    half: Ended,
    known: Ended,
    tmp_path: Path,
    words: list[str],
) -> None:
    shutil.copytree(half.folder, tmp_path / "run")
    ended = train(tmp_path / "run", words, ranks, stage, *more)
    assert "from step 10" in ended.messages
    assert not list(differences(ended, known))


def test_a_run_of_one_rank_goes_on_with_shared_experts(
    known: Ended, tmp_path: Path, words: list[str]
) -> None:
    for name in ("one", "shared"):
        shutil.copytree(known.folder, tmp_path / name)
    one = train(tmp_path / "one", words, 1, 0, steps=STEPS + 5)
    again = train(tmp_path / "shared", words, 2, 2, *SHARED, steps=STEPS + 5)
    assert again.metrics() == pytest.approx(one.metrics(), rel=1e-4)
