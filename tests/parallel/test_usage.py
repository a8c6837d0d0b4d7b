"""Memory that is measured is memory that was taken."""

from __future__ import annotations

import pytest
import torch

from dslm.environment import World
from dslm.parallel.usage import MemoryUse, free_memory, resident

MIB = 2**20


def test_the_peak_counts_what_was_given_back_since() -> None:
    use = MemoryUse("cpu", zero=False)
    taken = torch.ones(100 * MIB // 4)
    del taken
    assert use.peak() == pytest.approx(100 * MIB, rel=0.1)


def test_a_new_measurement_forgets_the_peak_before_it() -> None:
    taken = torch.ones(100 * MIB // 4)
    del taken
    assert MemoryUse("cpu", zero=False).peak() < 20 * MIB


def test_ranks_of_a_host_share_what_is_free() -> None:
    alone, shared = (free_memory(World(size=n, local_size=n, cpu=True)) for n in (1, 4))
    assert alone is not None
    assert shared is not None
    assert alone == pytest.approx(4 * shared, rel=0.2)
    assert alone > resident("VmRSS") / 100
