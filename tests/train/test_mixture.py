"""The phases of a run's shares are kept from one start to the next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from dslm.sampling.order import Phase
from dslm.train.mixture import first_phase, phases_from, read_phases, same_shares, write_phases

weights = some.lists(some.floats(0.1, 1.0), min_size=2, max_size=2)


def test_the_same_shares_in_another_unit_are_no_change() -> None:
    begun = first_phase([0.7, 0.3], 2)
    state = {"samples": 160, **write_phases(begun)}
    assert phases_from(state, [7, 3], 2) == begun


def test_other_shares_hold_from_the_samples_read_on_and_a_new_source_had_none_before() -> None:
    state = {"samples": 160, **write_phases(first_phase([0.7, 0.3], 2))}
    phases = phases_from(state, [1, 1, 2], 3)
    assert phases == (Phase(0, (0.7, 0.3, 0.0)), Phase(160, (1, 1, 2)))


def test_a_single_source_may_get_another_and_rows_read_once_an_epoch_have_no_phases() -> None:
    state = {"samples": 16, **write_phases(first_phase(None, 1))}
    assert phases_from(state, [3, 1], 2) == (Phase(0, (1.0, 0.0)), Phase(16, (3, 1)))
    assert first_phase(None, 2) == ()
    assert write_phases(()) == {}
    assert phases_from({"samples": 16}, None, 2) == ()


@given(changes=some.lists(some.tuples(some.integers(1, 100), weights), min_size=1, max_size=6))
def test_several_changes_in_a_row_are_all_kept(changes: list[tuple[int, list[float]]]) -> None:
    samples, state = 0, write_phases(first_phase(changes[0][1], 2))
    for length, now in changes:
        samples += length
        state = write_phases(phases_from({"samples": samples, **state}, now, 2))
    phases = read_phases(state, 2)
    assert phases[0].first == 0
    assert [p.first for p in phases] == sorted({p.first for p in phases})
    assert same_shares(phases[-1].weights, changes[-1][1])


def test_a_change_that_was_never_saved_is_forgotten() -> None:
    """It went on from sample 160, and then again from there with other shares."""
    state = {"samples": 160, **write_phases([Phase(0, (1, 1)), Phase(160, (3, 1))])}
    assert phases_from(state, [1, 3], 2) == (Phase(0, (1, 1)), Phase(160, (1, 3)))
