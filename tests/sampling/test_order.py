from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dslm.errors import ConfigError
from dslm.sampling.order import BLOCK, Mixture, Permutation, Phase, apportion, tempered


@given(size=some.integers(1, 3000), key=some.text(), epoch=some.integers(0, 10**12))
def test_a_permutation_of_any_size_gives_every_value_once(size: int, key: str, epoch: int) -> None:
    values = Permutation(size, key)(np.arange(size), epoch)
    assert np.array_equal(np.sort(values), np.arange(size))


def test_a_permutation_does_not_depend_on_what_is_asked_with_it() -> None:
    order = Permutation(10**12, "key")
    positions = np.array([0, 5, 10**12 - 1])
    alone = [int(order(positions[i : i + 1])[0]) for i in range(3)]
    assert order(positions).tolist() == alone


def test_keys_and_epochs_give_different_permutations() -> None:
    positions = np.arange(1000)
    orders = [
        Permutation(1000, "a")(positions, 0),
        Permutation(1000, "a")(positions, 1),
        Permutation(1000, "b")(positions, 0),
    ]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert np.count_nonzero(orders[first] == orders[second]) < 15  # 1 expected by chance


def test_all_permutations_of_three_are_equally_frequent() -> None:
    positions = np.tile(np.arange(3), 6000)
    epochs = np.repeat(np.arange(6000), 3)
    orders = Permutation(3, "key")(positions, epochs).reshape(-1, 3)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert counts.size == 6
    assert np.sum((counts - 1000) ** 2 / 1000) < 20.5  # chi squared, 5 degrees, p = 0.001


def test_neighbours_in_the_order_are_far_apart_in_the_text() -> None:
    order = Permutation(1 << 16, "key")(np.arange(1 << 16)).astype(float)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 4 / 256  # four standard deviations


def test_a_single_source_is_one_permutation_after_another() -> None:
    sources, epochs, indices = Mixture([1500], [1.0], seed=3)(np.arange(4500))
    assert not sources.any()
    assert np.array_equal(epochs, np.repeat([0, 1, 2], 1500))
    for epoch in range(3):
        assert np.array_equal(np.sort(indices[epochs == epoch]), np.arange(1500))
    assert not np.array_equal(indices[:1500], indices[1500:3000])


@given(
    sizes=some.lists(some.integers(1, 400), min_size=1, max_size=5),
    weights=some.lists(some.floats(0.05, 1.0), min_size=5, max_size=5),
    seed=some.integers(0, 2**31),
)
def test_every_completed_epoch_of_every_source_is_exact(
    sizes: list[int], weights: list[float], seed: int
) -> None:
    mixture = Mixture(sizes, weights[: len(sizes)], seed)
    sources, epochs, indices = mixture(np.arange(4 * BLOCK))
    for source, size in enumerate(sizes):
        mine = sources == source
        for epoch in range(int(epochs[mine].max())):
            found = np.sort(indices[mine & (epochs == epoch)])
            assert np.array_equal(found, np.arange(size))


def test_every_block_holds_exact_shares() -> None:
    sources, _, _ = Mixture([10, 20, 30], [5, 3, 2], seed=0)(np.arange(3 * BLOCK))
    for block in sources.reshape(3, BLOCK):
        assert np.bincount(block).tolist() == [512, 307, 205]


def test_a_small_batch_holds_nearly_exact_shares() -> None:
    sources, _, _ = Mixture([10, 20], [3, 1], seed=0)(np.arange(BLOCK))
    for batch in sources.reshape(-1, 8):
        assert np.bincount(batch).tolist() == [6, 2]


@given(weights=some.lists(some.floats(0.01, 100), min_size=1, max_size=20))
def test_shares_add_up_and_are_off_by_less_than_one(weights: list[float]) -> None:
    counts = apportion(weights, BLOCK)
    assert counts.sum() == BLOCK
    assert np.all(np.abs(counts - np.array(weights) / sum(weights) * BLOCK) < 1 + 1e-9)


@given(weights=some.lists(some.floats(0.05, 1), min_size=1, max_size=8))
def test_shares_in_every_block_are_exact_to_one_sample(weights: list[float]) -> None:
    sources, _, _ = Mixture([7] * len(weights), weights, seed=2)(np.arange(3 * BLOCK))
    shares = np.array(weights) / sum(weights)
    for block in sources.reshape(3, BLOCK):
        found = np.bincount(block, minlength=len(weights)) / BLOCK
        assert np.all(np.abs(found - shares) < (1 + 1e-9) / BLOCK)


@pytest.mark.parametrize("replicas", [1, 2, 3, 4, 8])
def test_batches_are_the_same_for_any_number_of_replicas(replicas: int) -> None:
    mixture, batch = Mixture([500, 40, 3], [5, 3, 2], seed=6), 24
    part = batch // replicas
    for step in (0, 1, 77):
        whole = np.stack(mixture(np.arange(step * batch, (step + 1) * batch)))
        firsts = [step * batch + replica * part for replica in range(replicas)]
        parts = [np.stack(mixture(np.arange(first, first + part))) for first in firsts]
        assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_any_part_of_the_order_can_be_asked_for() -> None:
    mixture = Mixture([1000, 50], [0.9, 0.1], seed=1)
    whole = np.stack(mixture(np.arange(5000)))
    part = np.stack(mixture(np.arange(3210, 3300)))
    assert np.array_equal(whole[:, 3210:3300], part)


def test_sample_numbers_beyond_a_trillion_are_fine() -> None:
    _, epochs, indices = Mixture([10**12, 7], [0.5, 0.5], seed=1)(np.array([10**15, 10**15 + 1]))
    assert epochs.tolist() == [500, 5 * 10**14 // 7]
    assert indices.min() >= 0


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    with pytest.raises(ConfigError, match=r"^data\.train = "):
        Mixture([10, 10], weights, seed=0)


def test_a_share_too_small_to_be_seen_is_refused() -> None:
    with pytest.raises(ConfigError, match="less than one sample in 1024"):
        Mixture([10, 10], [1.0, 1e-5], seed=0)


def test_temperature_one_gives_the_sizes_and_a_very_high_one_equal_shares() -> None:
    assert tempered([10, 30, 60], 1) == pytest.approx([0.1, 0.3, 0.6], rel=1e-12)
    assert tempered([10, 30, 60], 1e9) == pytest.approx([1 / 3] * 3, rel=1e-6)


@given(
    sizes=some.lists(some.integers(1, 10**15), min_size=1, max_size=8),
    temperature=some.floats(0.5, 100),
)
def test_shares_are_in_proportion_to_powers_of_the_sizes(
    sizes: list[int], temperature: float
) -> None:
    weights = np.array(tempered(sizes, temperature))
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    expected = np.diff(np.log(np.array(sizes, dtype=float))) / temperature
    assert np.diff(np.log(weights)) == pytest.approx(expected, abs=1e-9)


@given(
    sizes=some.lists(some.integers(1, 400), min_size=3, max_size=3),
    changes=some.lists(
        some.tuples(
            some.integers(1, 2500), some.lists(some.floats(0.05, 1), min_size=3, max_size=3)
        ),
        min_size=1,
        max_size=5,
    ),
    added=some.integers(0, 5),
)
def test_no_row_is_repeated_or_missing_whatever_the_shares_become(
    sizes: list[int], changes: list[tuple[int, tuple[float, float, float]]], added: int
) -> None:
    """Each source goes through its own order without a gap; the third is added at some change."""
    firsts = np.cumsum([0, *(length for length, _ in changes)]).tolist()
    phases = [
        Phase(first, (a, b, c if number >= added else 0.0))
        for number, (first, (_, (a, b, c))) in enumerate(zip(firsts, changes, strict=False))
    ]
    last = Phase(firsts[-1], (0.5, 0.2, 0.3))
    mixture = Mixture(sizes, last.weights, 7, earlier=phases, first=last.first)
    end = last.first + 1500
    sources, epochs, indices = mixture(np.arange(end))
    alone = Mixture(sizes, (1.0, 1.0, 1.0), 7)
    for source, size in enumerate(sizes):
        mine = sources == source
        count = int(mine.sum())
        of, plain_epochs, plain = alone(np.arange(4 * end))
        assert np.array_equal(indices[mine], plain[of == source][:count])
        assert np.array_equal(epochs[mine], plain_epochs[of == source][:count])
        assert epochs[mine][-1] == (count - 1) // size
    assert mixture.read(end).tolist() == np.bincount(sources, minlength=3).tolist()


def test_a_change_of_shares_leaves_what_came_before_as_it_was() -> None:
    before = Mixture([100, 70], [3, 1], seed=0)
    after = Mixture([100, 70], [1, 3], seed=0, earlier=[Phase(0, (3, 1))], first=5000)
    numbers = np.arange(5000)
    assert np.array_equal(np.stack(before(numbers)), np.stack(after(numbers)))
    sources, _, _ = after(np.arange(5000, 5000 + BLOCK))
    assert np.bincount(sources).tolist() == [BLOCK // 4, 3 * BLOCK // 4]
