"""The ranks as a grid: every rank has one place, and groups cut the world without a rest."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from dslm.parallel.grid import Coordinates, Grid

GRIDS = st.builds(Grid, *(st.integers(1, 4) for _ in range(4)))


@given(GRIDS)
def test_every_rank_has_a_place_of_its_own(grid: Grid) -> None:
    places = [grid.coordinates(rank) for rank in range(grid.world)]
    assert len(set(places)) == grid.world
    assert all(0 <= at[n] < size for at in places for n, size in enumerate(grid.sizes))
    assert places == sorted(places)


@given(GRIDS)
def test_groups_of_any_axes_hold_every_rank_once(grid: Grid) -> None:
    fields = Coordinates._fields
    for count in range(len(fields) + 1):
        for axes in combinations(fields, count):
            groups = grid.groups(*axes)
            assert sorted(rank for group in groups for rank in group) == [*range(grid.world)]
            for group in groups:
                places = [grid.coordinates(rank) for rank in group]
                others = {tuple(getattr(at, n) for n in fields if n not in axes) for at in places}
                assert len(others) == 1


@given(GRIDS)
def test_copies_of_the_same_weights_are_counted_in_the_order_of_their_ranks(grid: Grid) -> None:
    for group in grid.groups("data", "sequence"):
        assert [grid.copy(rank) for rank in group] == [*range(grid.copies)]
    for group in grid.groups("data", "sequence", "tensor"):
        assert [grid.in_stage(rank) for rank in group] == [*range(len(group))]


def test_the_axes_count_as_deepspeeds_topology_does() -> None:
    from deepspeed.runtime.pipe.topology import PipeModelDataParallelTopology

    grid = Grid(pipeline=2, data=2, sequence=3, tensor=2)
    theirs = PipeModelDataParallelTopology(num_pp=2, num_mp=2, num_dp=grid.copies)
    for rank in range(grid.world):
        at = theirs.get_coord(rank)
        assert (at.pipe, at.data, at.model) == (
            grid.coordinates(rank).pipeline,
            grid.copy(rank),
            grid.coordinates(rank).tensor,
        )
