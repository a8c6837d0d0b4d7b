"""Memory that is measured is memory that was taken."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dslm.environment import World
from dslm.parallel.usage import free_memory, resident

MIB = 2**20


PEAKS = """\
import torch
from dslm.parallel.usage import MemoryUse
uses = []
for _ in range(2):
    use = MemoryUse("cpu")
    if not uses:
        taken = torch.ones(100 * 2**20 // 4)
        del taken
    uses.append(use.peak())
print(*uses)
"""


def test_the_peak_counts_what_was_given_back_since_the_measurement_began() -> None:
    """In a process of its own, as one that has freed much takes no more from the system."""
    printed = subprocess.check_output([sys.executable, "-c", PEAKS], text=True, timeout=120)
    first, second = map(int, printed.split())
    assert first == pytest.approx(100 * MIB, rel=0.1)
    assert second < 20 * MIB, "a new measurement forgets the peak before it"


COMPILING = """\
import torch
from dslm.parallel.usage import MemoryUse
use = MemoryUse("cpu", compiled=True)
kept = torch.ones(50 * 2**20 // 4)
with use.left_out():
    compiler = torch.ones(100 * 2**20 // 4)
    peak = torch.ones(200 * 2**20 // 4)
    del peak
more = torch.ones(30 * 2**20 // 4)
print(use.peak())
"""


def test_what_a_compiler_takes_is_not_counted() -> None:
    printed = subprocess.check_output([sys.executable, "-c", COMPILING], text=True, timeout=120)
    assert int(printed) == pytest.approx(80 * MIB, rel=0.1)


def test_ranks_of_a_host_share_what_is_free() -> None:
    alone, shared = (free_memory(World(size=n, local_size=n, cpu=True)) for n in (1, 4))
    assert alone is not None
    assert shared is not None
    assert alone == pytest.approx(4 * shared, rel=0.2)
    assert alone > resident("VmRSS") / 100
