"""What is done with signatures: the passes between cleaning a unit and writing it.

The shard sets to compare with are signed like the units of text. All processes look at the
signatures of all documents, a range of hashes at a time; then at the units, one after the other,
with what was found in them; then at ranges of the hashes of paragraphs. See `decide`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from dslm.preprocess.deduplicate.decide import Part, decide, decide_near
from dslm.preprocess.deduplicate.divided import PART, Divided, Range, divide
from dslm.preprocess.deduplicate.match import PLACE, Matched, match
from dslm.preprocess.deduplicate.near import Likeness
from dslm.preprocess.deduplicate.repeated import repeated_paragraphs
from dslm.preprocess.deduplicate.shingles import Shingles, shingles
from dslm.preprocess.deduplicate.signatures import Signatures, signatures
from dslm.preprocess.text import ragged
from dslm.preprocess.work.folder import UnitRecord
from dslm.preprocess.work.intermediate import Texts
from dslm.preprocess.work.known import known_sets
from dslm.preprocess.work.plan import WorkUnit
from dslm.preprocess.work.work import Work
from dslm.progress import Advance, Meter


@dataclass(frozen=True)
class Comparing:
    """A pass to be made over ranges or parts."""

    name: str
    """Its name in the work folder."""
    kind: type[Work]
    """What is done."""
    units: list[WorkUnit]
    """The ranges or parts, whose sizes stand for the time they take."""
    in_order: bool = False
    """Whether a part needs those before it."""


def comparing(work: Work, size: int) -> list[Comparing]:
    """The passes that find duplicates, in order.

    Args:
        work: what is done.
        size: bytes of text, which the units of all these passes have together.
    """
    duplicates, parts = work.sharding.duplicates, work.known + work.units
    passes: list[tuple[str, type[Work], int, bool]] = [
        ("decide", Decide, parts, duplicates.near),
    ]
    if duplicates.documents or duplicates.near:
        passes.insert(0, ("match", Match, work.ranges, False))
    if duplicates.paragraphs:
        passes.append(("repeat", Repeat, work.ranges, False))
    found = []
    for (name, kind, count, in_order), share in zip(
        passes, _shares(size, len(passes)), strict=True
    ):
        sizes = enumerate(_shares(share, count))
        units = [WorkUnit(number, (), one) for number, one in sizes]
        found.append(Comparing(name, kind, units, in_order))
    return found


def _shares(total: int, count: int) -> list[int]:
    """A whole number cut into so many, of about one size."""
    ends = [total * number // count for number in range(count + 1)]
    return [end - begin for begin, end in pairwise(ends)]


@dataclass(frozen=True)
class Sign(Work):
    """Sign the documents of a file of the shard sets to compare with."""

    def __call__(self, unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        """Make the file ``known-…``."""
        settings, name = self.sharding.duplicates, f"known-{unit.number:05d}"
        signed = [signatures([], settings)]
        for texts in known_sets(self.sharding.against).batches(unit.number):
            signed.append(signatures(texts, settings))
        divide(Signatures.concatenate(signed), self.ranges).save(self.folder.file(name))
        if advance:
            advance(unit.size)
        return UnitRecord(self.folder.hashed(name))


@dataclass(frozen=True)
class Match(Work):
    """Find the documents that have a hash of a range in common; a unit is a range."""

    def __call__(self, unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        """Make the file ``matched-…``."""
        name = f"matched-{unit.number:05d}"
        hashes = Range([*map(Divided.load, self.parts)], unit.number, self.ranges)
        match(hashes, self.known).save(self.folder.file(name))
        if advance:
            advance(unit.size)
        return UnitRecord(self.folder.hashed(name))


@dataclass(frozen=True)
class Decide(Work):
    """Decide which documents of a part were there before; a unit is a part.

    For near duplicates the parts before it must be done.
    """

    def __call__(self, unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        """Make the files ``decision-…`` and perhaps ``kept-…``."""
        file, settings = self.folder.file, self.sharding.duplicates
        meter = Meter(unit.size, advance)
        documents = len(Divided.load(self.parts[unit.number]))

        def decided(number: int) -> None:
            meter(number * unit.size // max(documents, 1))

        def kept_of(part: int) -> ragged.Ragged[np.int64]:
            found: ragged.Ragged[np.int64] = ragged.load(file(f"kept-{part:05d}"))["documents"]
            return found

        part = Part(unit.number, documents, self.known)
        ranges = range(self.ranges if settings.documents or settings.near else 0)
        found = [Matched.load(file(f"matched-{number:05d}")) for number in ranges]
        reasons = decide(part, found)
        made = [f"decision-{unit.number:05d}"]
        if settings.near:
            made.append(f"kept-{unit.number:05d}")
            kept = decide_near(part, found, reasons, self._like, kept_of, decided)
            ragged.save(file(made[-1]), {"documents": kept})
        ragged.save(file(made[0]), {"reasons": reasons})
        meter.finish()
        return UnitRecord(self.folder.hashed(*made))

    @cached_property
    def _like(self) -> Likeness:
        """Kept for all parts that this process decides on."""
        settings = self.sharding.duplicates

        @lru_cache(maxsize=64)
        def texts(unit: int) -> Texts:
            return Texts(self.folder.file(f"texts-{unit:05d}"))

        def shingles_of(document: int) -> Shingles:
            part, place = document >> PART, document & PLACE
            if part < self.known:
                text = known_sets(self.sharding.against).text(part, place)
            else:
                text = texts(part - self.known).text(place)
            return shingles(text, settings)

        return Likeness(shingles_of, settings.threshold)


@dataclass(frozen=True)
class Repeat(Work):
    """Find the paragraphs of a range of hashes that were there before; a unit is a range."""

    def __call__(self, unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        """Make the file ``repeated-…``, with a row for each part."""
        name = f"repeated-{unit.number:05d}"
        hashes = Range([*map(Divided.load, self.parts)], unit.number, self.ranges)
        reasons = [
            ragged.load(self.folder.file(f"decision-{part:05d}"))["reasons"]
            for part in range(len(hashes.parts))
        ]
        places = repeated_paragraphs(hashes, reasons)
        ragged.save(self.folder.file(name), {"places": places})
        if advance:
            advance(unit.size)
        return UnitRecord(self.folder.hashed(name))
