"""What a rank's share of this machine's CPU can do, measured in a moment and without torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import numpy as np

from dslm.environment import World, threads_are_set
from dslm.parallel.devices import Device

SIZE = 512
"""Rows and columns of the matrices that are multiplied."""
PATIENCE = 0.2
"""Seconds spent on it."""
BANDWIDTH, LINK, NETWORK = 10e9, 4e9, 1e9
"""Bytes a second, assumed: of main memory, between ranks of a host, and between hosts."""


def fastest(work: Callable[[], object], patience: float) -> float:
    """Seconds of the fastest of several repetitions, since other processes may run now and then.

    Args:
        work: what is repeated.
        patience: seconds for which it is.
    """
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < patience:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


@cache
def cpu_device(world: World) -> Device:
    """The CPU as the device of a rank; 16 bits are taken to be as fast as float32.

    Measured once, by the first call.
    """
    matrix = np.ones((SIZE, SIZE), np.float32)
    # Without a choice numpy takes all cores here, and the ranks of a host will share them.
    ranks = 1 if threads_are_set() else world.local_size
    rate = 2 * SIZE**3 / fastest(lambda: matrix @ matrix, PATIENCE) / ranks
    return Device("CPU", rate, rate, 0.0, BANDWIDTH / ranks, LINK, NETWORK)
