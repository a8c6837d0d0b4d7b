"""The autoencoder: all tokens predicted, some hidden on request, and both comparisons."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from helpers.objective_kinds import SPECIAL, made, mean_loss

from dslm.model.config import ModelConfig
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.batch import IGNORE
from dslm.objectives.squared_error import explained_variance, squared_error
from dslm.sampling.stream import Samples

SHAPE: dict[str, Any] = {
    "layers": 1,
    "heads": 2,
    "width": 64,
    "sequence": 20,
    "vocabulary": 101,
    "attention": "full",
    "bottleneck_length": 5,
}


def samples_of(numbers: list[int], padding: int | None = None) -> Samples:
    order = np.array(numbers)
    tokens = np.random.default_rng(0).integers(6, 100, (1000, 20))[order]
    if padding is None:
        return Samples(tokens, order, order)
    tokens[np.arange(20) >= (order % 21)[:, None]] = padding
    return Samples(tokens, order, order, order % 21)


def autoencoder(**more: Any) -> Any:
    return made("autoencoder", 20, **more)


def test_every_token_of_the_window_is_predicted() -> None:
    samples = samples_of([1, 2, 3])
    inputs, labels = autoencoder().batch(samples)
    assert inputs.tolist() == labels.tolist() == samples.tokens.tolist()


def test_padding_is_neither_seen_nor_predicted() -> None:
    samples = samples_of([4, 20, 1], SPECIAL["pad"])
    (_, visibility), labels = autoencoder(padded=True).batch(samples)
    real = samples.tokens != SPECIAL["pad"]
    assert visibility.tolist() == (-real.astype(int)).tolist()
    assert labels.tolist() == np.where(real, samples.tokens, IGNORE).tolist()


@pytest.mark.parametrize("special", [SPECIAL, {"pad": 2}])
def test_noise_hides_an_exact_share_of_the_real_tokens(special: dict[str, int]) -> None:
    objective = autoencoder(noise=0.3, padded=True, special=special)
    samples = samples_of(list(range(40)), SPECIAL["pad"])
    (inputs, _), labels = objective.batch(samples)
    hidden = (inputs != torch.from_numpy(samples.tokens)).numpy()
    real = samples.tokens != SPECIAL["pad"]
    wanted = [max(1, round(0.3 * n)) if n else 0 for n in real.sum(1).tolist()]
    assert hidden.sum(1).tolist() == wanted
    assert set(inputs.numpy()[hidden].tolist()) == {special.get("mask", 100)}
    assert objective.extra_ids == ("mask" not in special)
    assert labels.numpy()[real].tolist() == samples.tokens[real].tolist()


def test_what_is_hidden_follows_from_the_sample_number_alone() -> None:
    objective = autoencoder(noise=0.3)
    whole, _ = objective.batch(samples_of(list(range(12))))
    pieces = [objective.batch(samples_of(list(range(n, n + 3))))[0] for n in range(0, 12, 3)]
    assert torch.equal(torch.cat(pieces), whole)
    first = samples_of([0])
    later, _ = objective.batch(Samples(first.tokens, np.array([500]), first.indices))
    assert not torch.equal(later[0], whole[0])


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_the_objective_decides_what_the_model_gives(loss: str) -> None:
    objective = autoencoder(loss=loss, padded=True)
    config = ModelConfig(**{**SHAPE, **objective.model(objective.settings)})
    model = Transformer(stages(config, 0, objective.extras)).eval()
    inputs, labels = objective.batch(samples_of(list(range(30, 42)), SPECIAL["pad"]))
    with torch.no_grad():
        outputs = model(inputs)
        sums = objective.measure(outputs, labels)
        value = float(mean_loss(objective, outputs, labels))
    assert sums.shape == (len(objective.measures), 2)
    if loss == "cross_entropy":
        assert value == pytest.approx(math.log(101), abs=0.15)
    else:
        # The first outputs are as long as the embeddings, and know nothing of them.
        assert value == pytest.approx(2 * 64 * 0.02**2, rel=0.1)


def test_the_squared_error_is_summed_over_all_that_counts_whatever_the_micro_batch() -> None:
    draw = torch.Generator().manual_seed(0)
    found, wanted = torch.randn(2, 4, 6, 3, generator=draw)
    labels = torch.zeros(4, 6, dtype=torch.int64)
    labels[1, 2:], labels[3] = IGNORE, IGNORE
    distances = (found - wanted).square().sum(-1)
    by_hand = distances[0].sum() + distances[1, :2].sum() + distances[2].sum()
    assert squared_error(found, wanted, labels) == pytest.approx(float(by_hand))
    halves = [squared_error(found[k : k + 2], wanted[k : k + 2], labels[k : k + 2]) for k in (0, 2)]
    assert sum(halves) == pytest.approx(float(by_hand))


def test_explained_variance_is_one_for_the_targets_and_zero_for_their_mean() -> None:
    wanted, labels = torch.randn(2, 5, 3), torch.zeros(2, 5, dtype=torch.int64)
    labels[1, 3:] = IGNORE
    mean = wanted[labels == 0].mean(0).expand(2, 5, 3)
    for found, share in ((wanted, 1.0), (mean, 0.0), (2 * wanted - mean, 0.0)):
        sums = explained_variance(found, wanted, labels)
        assert float(sums[0, 0] / sums[0, 1]) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "rate", "reached"), [("cross_entropy", 3e-3, 0.9), ("squared_error", 1e-2, 0.0)]
)
def test_an_autoencoder_learns_some_rows(loss: str, rate: float, reached: float) -> None:
    objective = autoencoder(loss=loss)
    shape = {**SHAPE, **objective.model(objective.settings)}
    model = Transformer(stages(ModelConfig(**shape), 0, objective.extras))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    inputs, labels = objective.batch(samples_of(list(range(8))))
    accuracies = []
    for _ in range(100):
        outputs = model(inputs)
        total, count = objective.measure(outputs, labels)[-1].tolist()
        accuracies.append(total / count)
        optimizer.zero_grad()
        mean_loss(objective, outputs, labels).backward()
        optimizer.step()
    assert accuracies[-1] > reached > accuracies[0]
