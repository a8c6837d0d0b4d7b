"""How a figure is taken: ours and a peer's in turns, so that a busy machine slows both alike.

Each contender works once unmeasured; then come the rounds, in each of which every contender works
once, in an order that turns around from one round to the next. The median of the rates over the
rounds is the figure; the median of the ratios within a round is the ratio.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from dslm.progress import Progress

THREADS = 2
"""Threads of every measurement, ours and the peer's."""

Contender = Callable[[], float]
"""Works for a round and returns the rate at which it did: units a second."""
Rates = dict[str, list[float]]
"""The rates of each contender, one a round."""


@dataclass(frozen=True)
class Options:
    """What the user chose."""

    text: Path | None
    """The text of the character model; `None` takes some of the built-in corpus."""
    nanogpt: Path | None
    """A checkout of nanoGPT, where there is one."""
    corpora: Path
    """The folder of the corpora that some claims are about."""
    keep: Path | None = None
    """Where what takes long is kept, and found by the next measurement; `None` keeps nothing."""


@dataclass(frozen=True)
class Row:
    """One claim and what was measured of it."""

    claim: str
    """What is compared."""
    wanted: str
    """The bound on the ratio."""
    ours: str
    """Our figure with its unit."""
    peer: str = "—"
    """The peer's figure with its unit."""
    ratio: str = "—"
    """The figure that `wanted` bounds."""


@dataclass(frozen=True)
class Table:
    """What a topic found."""

    title: str
    """The topic in a few words."""
    setting: str
    """What was run: shape, batch, precision, peer, number of rounds."""
    rows: list[Row]


def timed(work: Callable[[], object], amount: float = 1.0) -> Contender:
    """A contender that is timed from outside.

    Args:
        work: what it does in a round.
        amount: how many units that is.
    """

    def rate() -> float:
        began = time.perf_counter()
        work()
        return amount / (time.perf_counter() - began)

    return rate


def alternate(
    contenders: Mapping[str, Contender], rounds: int, label: str, materialize_moments: int = 1
) -> Rates:
    """Let contenders take turns.

    Args:
        contenders: who takes part.
        rounds: how many are measured.
        label: what is being measured, for the progress.
        materialize_moments: how many rounds are made before them.
    """
    rates: Rates = {name: [] for name in contenders}
    with Progress((rounds + materialize_moments) * len(contenders), " turns", label) as progress:
        for number in range(rounds + materialize_moments):
            for name in list(contenders)[:: -1 if number % 2 else 1]:
                rates[name].append(contenders[name]())
                progress.advance()
    return {name: values[materialize_moments:] for name, values in rates.items()}


def ratio(above: list[float], below: list[float]) -> float:
    """The median over the rounds of one contender's rate over another's."""
    return median(a / b for a, b in zip(above, below, strict=True))


def speedup(claim: str, wanted: str, ours: list[float], peer: list[float], unit: str) -> Row:
    """A row that says how many times more of a unit we do in a second than the peer."""
    own, other = (f"{median(rates):,.{_digits(rates)}f} {unit}/s" for rates in (ours, peer))
    return Row(claim, wanted, own, other, f"{ratio(ours, peer):.2f}×")


def slowdown(claim: str, wanted: str, ours: list[float], peer: list[float]) -> Row:
    """A row that says how many times longer than the peer we take for a step."""
    own, other = (f"{1e3 / median(rates):.1f} ms" for rates in (ours, peer))
    return Row(claim, wanted, own, other, f"{ratio(peer, ours):.2f}×")


def _digits(rates: list[float]) -> int:
    """Digits after the point that a rate deserves."""
    return 0 if median(rates) >= 100 else 1
