"""A share of some things, and how certain it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

NORMAL = 1.959964
"""Half the width of the interval that holds 95 % of a normal distribution, in deviations."""


@dataclass(frozen=True)
class Share:
    """How many of some things have a property, with the 95 % interval of Wilson (1927)."""

    of: int
    found: int
    share: float
    """0 of nothing."""
    low: float
    high: float

    @classmethod
    def count(cls, found: int, of: int) -> Share:
        """Of a sample in which `found` of `of` have it."""
        if not of:
            return cls(0, 0, 0.0, 0.0, 1.0)
        share, square = found / of, NORMAL**2 / of
        middle = share + square / 2
        half = NORMAL * math.sqrt(share * (1 - share) / of + square / of / 4)
        # Rounding must not push an end that is 0 or 1 beyond it.
        low = max(0.0, (middle - half) / (1 + square)) if found else 0.0
        high = min(1.0, (middle + half) / (1 + square)) if found < of else 1.0
        return cls(of, found, share, low, high)

    def cells(self) -> tuple[str, str, str, str]:
        """What a table shows of it."""
        interval = f"{100 * self.low:.1f} … {100 * self.high:.1f} %"
        return f"{self.of:,}", f"{self.found:,}", f"{100 * self.share:.1f} %", interval
