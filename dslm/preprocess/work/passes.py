"""What is done with the text of a unit: clean it, write it as shards.

Without a search for duplicates a unit is read, cleaned, tokenized and written in one go. With it,
each unit is first cleaned and signed; then come the passes of `comparing`; then each unit is
written without the documents and paragraphs that were there before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from dslm.errors import DataError, Problem
from dslm.files.whole import appearing
from dslm.preprocess.deduplicate.decide import REASONS
from dslm.preprocess.deduplicate.divided import Divided, divide
from dslm.preprocess.deduplicate.paragraphs import remove
from dslm.preprocess.deduplicate.repeated import cut
from dslm.preprocess.deduplicate.signatures import Signatures, signatures
from dslm.preprocess.document import Document, Reject
from dslm.preprocess.text import ragged
from dslm.preprocess.tokenize import tokenize
from dslm.preprocess.work.folder import UnitRecord
from dslm.preprocess.work.intermediate import Texts, clean_documents, write_texts
from dslm.preprocess.work.plan import WorkUnit
from dslm.preprocess.work.work import Work
from dslm.progress import Advance
from dslm.shards.manifest import Shard
from dslm.shards.rows import Rows
from dslm.shards.statistics import Statistics, count
from dslm.shards.writer import ShardWriter
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer


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
        divided = divide(Signatures.concatenate(signed), self.ranges)
        divided.save(self.folder.file(signature))
        made = [texts, signature, *([aside] if self.rejects else [])]
        return UnitRecord(self.folder.hashed(*made), statistics, self.inputs(unit))


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
    file, part = work.folder.file, work.known + unit.number
    ranges = range(work.ranges if work.sharding.duplicates.paragraphs else 0)
    decision = cut(
        Divided.load(work.parts[part]),
        ragged.load(file(f"decision-{part:05d}"))["reasons"],
        [ragged.load(file(f"repeated-{n:05d}"))["places"][part] for n in ranges],
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
