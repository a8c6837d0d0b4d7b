"""Random numbers without a history: each is a function of (seed, sample number, purpose, place)."""

from __future__ import annotations

from enum import IntEnum, auto

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]


class Purpose(IntEnum):
    """What random numbers are for; each has numbers of its own."""

    SHUFFLE = 0
    DROP = auto()
    REPLACE = auto()
    DRAW = auto()
    LOWER = auto()
    PAIR = auto()
    RELATION = auto()
    UNITS = auto()
    CHOICE = auto()
    CHANGE = auto()
    IDS = auto()
    LENGTHS = auto()
    CUTS = auto()


def uniform(seed: int, samples: npt.NDArray[np.int64], width: int, purpose: Purpose) -> Reals:
    """Random numbers in [0, 1) that depend on the seed, the sample number and the purpose alone.

    From Philox, a generator without history (Salmon et al., "Parallel Random Numbers: As Easy as
    1, 2, 3", 2011).

    Returns:
        Shape [samples, width].
    """
    numbers = np.empty((samples.size, width))
    for row, sample in zip(numbers, samples.tolist(), strict=True):
        generator = np.random.Philox(key=(seed, sample), counter=(0, 0, 0, int(purpose)))
        np.random.Generator(generator).random(out=row)
    return numbers
