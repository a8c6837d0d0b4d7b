"""What is done with a unit: clean it, decide on duplicates, write it as shards.

Without a search for duplicates a unit is read, cleaned, tokenized and written in one go. With it,
each unit is first cleaned and signed, and so are the shard sets to compare with; then one process
looks at the signatures of all documents in the order of the inputs, and all processes at those of
paragraphs, a range of hashes at a time; then each unit is written without the documents
and paragraphs that were there before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np

from dslm.errors import DataError, Problem
from dslm.files.fingerprint import Input
from dslm.files.whole import appearing
from dslm.preprocess.deduplicate.decide import REASONS, decide
from dslm.preprocess.deduplicate.paragraphs import remove
from dslm.preprocess.deduplicate.repeated import RANGES, cut, repeated_paragraphs
from dslm.preprocess.deduplicate.shingles import Shingles, shingles
from dslm.preprocess.deduplicate.signatures import Signatures, signatures
from dslm.preprocess.document import Document, Reject
from dslm.preprocess.read.inputs import describe
from dslm.preprocess.text import ragged
from dslm.preprocess.tokenize import tokenize
from dslm.preprocess.work.folder import UnitRecord, WorkFolder
from dslm.preprocess.work.intermediate import Texts, clean_documents, write_texts
from dslm.preprocess.work.known import known_sets
from dslm.preprocess.work.plan import ShardingConfig, WorkUnit
from dslm.preprocess.work.rejects import Rejects
from dslm.progress import Advance
from dslm.shards.manifest import Shard
from dslm.shards.rows import Rows
from dslm.shards.statistics import Statistics, count
from dslm.shards.writer import ShardWriter
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class Work:
    """What the passes have in common; small, since it is sent to a worker with every unit."""

    folder: WorkFolder
    sharding: ShardingConfig
    tokenizer_sha256: str
    """The model of the tokenizer with which the work began."""
    inputs_folder: Path
    """The folder that these names are relative to."""
    max_bad: int
    """Broken records to let pass."""
    rejects: bool
    """Whether rejected records are written aside."""

    @contextmanager
    def rejected(self, statistics: Statistics, name: str) -> Iterator[Rejects]:
        """Where a unit sends what becomes no document."""
        aside = appearing(self.folder.file(name)) if self.rejects else nullcontext()
        with aside as path, Rejects(statistics, self.folder.names, self.max_bad, path) as reject:
            yield reject

    def inputs(self, unit: WorkUnit) -> tuple[Input, ...]:
        """The inputs of which a unit holds the beginning, hashed."""
        begun = [piece.path for piece in unit.pieces if piece.start == 0]
        return tuple(describe(path, self.inputs_folder) for path in begun)


@dataclass(frozen=True)
class Clean(Work):
    """Clean a unit and sign its documents."""

    def __call__(self, unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        """Make the files ``texts-…``, ``signatures-…`` and perhaps ``left-out-…``."""
        settings = self.sharding.duplicates
        statistics, signed = Statistics(), [signatures([], settings)]
        texts, signature, aside = (
            f"{name}-{unit.number:05d}" for name in ("texts", "signatures", "left-out")
        )

        def sign(batches: Iterator[list[Document]]) -> Iterator[list[Document]]:
            for batch in batches:
                plain = [document.text for document in batch]
                signed.append(signatures(plain, settings))
                yield batch

        with self.rejected(statistics, aside) as reject:
            batches = _clean(unit, self, statistics, reject, advance)
            write_texts(self.folder.file(texts), sign(batches))
        Signatures.concatenate(signed).save(self.folder.file(signature))
        made = [texts, signature, *([aside] if self.rejects else [])]
        return UnitRecord(self.folder.hashed(*made), statistics, self.inputs(unit))


@dataclass(frozen=True)
class Sign(Work):
    """Sign the documents of a file of the shard sets to compare with."""

    def __call__(self, unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        """Make the file ``known-…``."""
        settings, name = self.sharding.duplicates, f"known-{unit.number:05d}"
        signed = [signatures([], settings)]
        for texts in known_sets(self.sharding.against).batches(unit.number):
            signed.append(signatures(texts, settings))
        Signatures.concatenate(signed).save(self.folder.file(name))
        if advance:
            advance(unit.size)
        return UnitRecord(self.folder.hashed(name))


@dataclass(frozen=True)
class Decide(Work):
    """Decide which documents and paragraphs were there before; there is one unit of this."""

    units: int

    def __call__(self, unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        """Make the files ``decision-…``, one for each unit of the other passes."""
        folder, settings = self.folder, self.sharding.duplicates
        numbers, known = range(self.units), known_sets(self.sharding.against)
        files = [f"known-{one.number:05d}" for one in known.units]
        files += [f"signatures-{n:05d}" for n in numbers]
        parts = [Signatures.load(folder.file(name)) for name in files]
        firsts = [0, *accumulate(len(part) for part in parts)]

        @lru_cache(maxsize=64)
        def texts(number: int) -> Texts:
            return Texts(folder.file(f"texts-{number:05d}"))

        def shingles_of(document: int) -> Shingles:
            if document < known.documents:
                return shingles(known.text(document), settings)
            number = bisect_right(firsts, document) - 1
            text = texts(number - len(known.units)).text(document - firsts[number])
            return shingles(text, settings)

        def decided(documents: int) -> None:
            if advance:
                advance(documents * unit.size // max(firsts[-1], 1))

        names = [f"decision-{n:05d}" for n in numbers]
        decisions = decide(parts, settings, shingles_of, decided, known.documents)
        for name, decision in zip(names, decisions[len(known.units) :], strict=True):
            ragged.save(folder.file(name), {"reasons": decision})
        return UnitRecord(folder.hashed(*names))


@dataclass(frozen=True)
class Repeat(Work):
    """Find the paragraphs of a range of hashes that were there before."""

    units: int

    def __call__(self, unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        """Make the file ``repeated-…``, with a row for each unit of the other passes."""
        file, known = self.folder.file, len(known_sets(self.sharding.against).units)
        parts = [Signatures.load(file(f"known-{n:05d}")) for n in range(known)]
        reasons = [np.zeros(len(part), np.uint8) for part in parts]
        for n in range(self.units):
            parts.append(Signatures.load(file(f"signatures-{n:05d}")))
            reasons.append(ragged.load(file(f"decision-{n:05d}"))["reasons"])
        name = f"repeated-{unit.number:05d}"
        found = repeated_paragraphs(parts, reasons, unit.number)
        found = found.slice(known, len(found))
        ragged.save(file(name), {"places": found})
        return UnitRecord(self.folder.hashed(name))


@dataclass(frozen=True)
class Write(Work):
    """Tokenize a unit and write it as shards of its own."""

    def __call__(self, unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        """Make the files ``shard-UNIT-…`` and perhaps ``rejected-…``."""
        statistics = Statistics()
        aside = f"rejected-{unit.number:05d}"
        with self.rejected(statistics, aside) as reject:
            source = _unique if self.sharding.duplicates.any else _clean
            batches = source(unit, self, statistics, reject, advance)
            shards = self._write(unit, (self._tokenize(b, statistics) for b in batches))
        files = {shard.file: shard.sha256 for shard in shards}
        if self.rejects:
            files |= self.folder.hashed(aside)
        inputs = () if self.sharding.duplicates.any else self.inputs(unit)
        return UnitRecord(files, statistics, inputs, shards)

    def _tokenize(self, documents: list[Document], statistics: Statistics) -> Rows:
        tokenizer = _tokenizer(self.sharding.tokenizer, self.tokenizer_sha256)
        try:
            rows = tokenize(documents, tokenizer)
        except DataError:
            for document in documents:  # which of them is it?
                try:
                    tokenizer.encode([document.text])
                except DataError as error:
                    where = self.folder.names[document.input]
                    found = [replace(p, where=f"{where}: {p.where}") for p in error.problems]
                    raise DataError(*found) from None
            raise
        statistics.add(count(rows))
        return rows

    def _write(self, unit: WorkUnit, batches: Iterator[Rows]) -> tuple[Shard, ...]:
        tokenizer = _tokenizer(self.sharding.tokenizer, self.tokenizer_sha256)
        shards: list[Shard] = []
        rest: Rows | None = next(batches, None)
        while rest is not None:
            name = f"shard-{unit.number:05d}-{len(shards):05d}.arrow"
            with (
                appearing(self.folder.file(name)) as path,
                ShardWriter(path, tokenizer.dtype) as writer,
            ):
                while rest is not None and writer.bytes < self.sharding.shard_size:
                    room = self.sharding.shard_size - writer.bytes
                    size = rest.ends * tokenizer.dtype.itemsize
                    fitting = min(int(np.searchsorted(size, room)), len(rest))
                    writer.add(rest.slice(0, fitting))
                    rest = rest.slice(fitting, len(rest)) if fitting < len(rest) else None
                    rest = rest or next(batches, None)
                shards.append(replace(writer.finish(), file=name))
        return tuple(shards)


def _clean(
    unit: WorkUnit, work: Work, statistics: Statistics, reject: Reject, advance: Advance | None
) -> Iterator[list[Document]]:
    """The documents of a unit, out of the inputs."""
    changed = Counter[str]()
    sharding = work.sharding
    yield from clean_documents(unit, sharding.reading, sharding.cleaning, changed, reject, advance)
    statistics.changed = dict(sorted(changed.items()))


def _unique(
    unit: WorkUnit, work: Work, statistics: Statistics, reject: Reject, advance: Advance | None
) -> Iterator[list[Document]]:
    """The documents of a unit, out of the work folder, without what was there before."""
    file, own = work.folder.file, f"{unit.number:05d}"
    ranges = range(RANGES if work.sharding.duplicates.paragraphs else 0)
    decision = cut(
        Signatures.load(file(f"signatures-{own}")),
        ragged.load(file(f"decision-{own}"))["reasons"],
        [ragged.load(file(f"repeated-{n:05d}"))["places"][unit.number] for n in ranges],
    )
    least = work.sharding.duplicates.paragraph_characters
    number, shortened = 0, 0
    for batch in Texts(work.folder.file(f"texts-{unit.number:05d}")).batches():
        kept = []
        for document in batch:
            reason = REASONS[decision.reasons[number]]
            paragraphs = decision.removed[number].tolist()
            if not reason and paragraphs:
                document.text = remove(document.text, paragraphs, least)
                reason = "" if document.text.strip() else "duplicate paragraphs"
                shortened += not reason
            if reason:
                reject(document.rejected(reason))
            else:
                kept.append(document)
            number += 1
        if kept:
            yield kept
    if shortened:
        statistics.changed = {"duplicate paragraphs removed": shortened}
    if advance:
        advance(unit.size)


@lru_cache(maxsize=1)
def _tokenizer(path: Path, sha256: str) -> Tokenizer:
    """A worker deals with many units; another model at the same path is another tokenizer."""
    tokenizer = load_tokenizer(path)
    if tokenizer.sha256 != sha256:
        raise DataError(Problem(str(path), None, "has changed since the work began"))
    return tokenizer
