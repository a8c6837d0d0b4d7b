"""What is done with the text of a unit: clean it, write it as shards.

Without a search for duplicates a unit is read, cleaned, tokenized and written in one go. With it,
each unit is first cleaned and signed; then come the passes of `comparing`; then each unit is
written without the documents and paragraphs that were there before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from dslm.errors import DataError, Problem
from dslm.preprocess.deduplicate.decide import REASONS
from dslm.preprocess.deduplicate.divided import Divided, divide
from dslm.preprocess.deduplicate.paragraphs import remove
from dslm.preprocess.deduplicate.repeated import cut
from dslm.preprocess.deduplicate.signatures import Signatures, signatures
from dslm.preprocess.document import Document, Reject
from dslm.preprocess.text import ragged
from dslm.preprocess.tokenize import tokenize
from dslm.preprocess.work.folder import SetRecord, UnitRecord
from dslm.preprocess.work.intermediate import Texts, clean_documents, write_texts
from dslm.preprocess.work.plan import WorkUnit
from dslm.preprocess.work.unit_writer import UnitWriter
from dslm.preprocess.work.work import Work
from dslm.progress import Advance
from dslm.shards.rows import Rows
from dslm.shards.statistics import Statistics
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
        """Make the files ``shard-UNIT-SET-…`` and perhaps ``rejected-…``."""
        statistics = Statistics()
        aside = f"rejected-{unit.number:05d}"
        with self.rejected(statistics, aside) as reject:
            if self.sharding.duplicates.any:
                texts = Texts(self.folder.file(f"texts-{unit.number:05d}"))
                clean = self._assigned(texts.batches())
                batches = _unique(unit, self, clean, statistics, reject, advance)
            else:
                batches = self._assigned(_clean(unit, self, statistics, reject, advance))
            sets = self._write(unit, batches)
        files = {shard.file: shard.sha256 for one in sets.values() for shard in one.shards}
        if self.rejects:
            files |= self.folder.hashed(aside)
        inputs = () if self.sharding.duplicates.any else self.inputs(unit)
        return UnitRecord(files, statistics, inputs, sets)

    def _write(self, unit: WorkUnit, batches: Iterator[list[Document]]) -> dict[str, SetRecord]:
        """The shards of each set."""
        tokenizer = _tokenizer(self.sharding.tokenizer, self.tokenizer_sha256)
        with ExitStack() as open_files:
            writers = {
                name: open_files.enter_context(
                    UnitWriter(self.folder, unit.number, name, tokenizer.dtype, self.sharding)
                )
                for name in self.sharding.sets
            }
            for batch in batches:
                for name, documents in _divided(batch).items():
                    writers[name].add(self._tokenize(documents), documents)
            return {name: writer.finish() for name, writer in writers.items()}

    def _assigned(self, batches: Iterator[list[Document]]) -> Iterator[list[Document]]:
        """The same documents, each with its set.

        Their texts are still whole: which paragraphs are cut depends on what was read before.
        """
        split = self.sharding.split
        for batch in batches:
            if split is not None:
                for document in batch:
                    document.set = split.set_of(document.text)
            yield batch

    def _tokenize(self, documents: list[Document]) -> Rows:
        tokenizer = _tokenizer(self.sharding.tokenizer, self.tokenizer_sha256)
        try:
            return tokenize(documents, tokenizer)
        except DataError:
            for document in documents:  # which of them is it?
                try:
                    tokenizer.encode([document.text])
                except DataError as error:
                    where = self.folder.names[document.input]
                    found = [replace(p, where=f"{where}: {p.where}") for p in error.problems]
                    raise DataError(*found) from None
            raise


def _divided(documents: list[Document]) -> dict[str, list[Document]]:
    """The documents of each set that gets any."""
    sets = defaultdict[str, list[Document]](list)
    for document in documents:
        sets[document.set].append(document)
    return sets


def _clean(
    unit: WorkUnit, work: Work, statistics: Statistics, reject: Reject, advance: Advance | None
) -> Iterator[list[Document]]:
    """The documents of a unit, out of the inputs."""
    changed = Counter[str]()
    sharding = work.sharding
    yield from clean_documents(unit, sharding.reading, sharding.cleaning, changed, reject, advance)
    statistics.changed = dict(sorted(changed.items()))


def _unique(
    unit: WorkUnit,
    work: Work,
    clean: Iterator[list[Document]],
    statistics: Statistics,
    reject: Reject,
    advance: Advance | None,
) -> Iterator[list[Document]]:
    """The clean documents of a unit without what was there before."""
    file, part = work.folder.file, work.known + unit.number
    ranges = range(work.ranges if work.sharding.duplicates.paragraphs else 0)
    decision = cut(
        Divided.load(work.parts[part]),
        ragged.load(file(f"decision-{part:05d}"))["reasons"],
        [ragged.load(file(f"repeated-{n:05d}"))["places"][part] for n in ranges],
    )
    least = work.sharding.duplicates.paragraph_characters
    number, shortened = 0, 0
    for batch in clean:
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
