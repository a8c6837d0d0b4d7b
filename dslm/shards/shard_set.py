"""A folder of shards, opened: all its documents as one long row of tokens, read in place.

The path of a window: its start is looked up among the first tokens of all batches, which gives a
shard and a place in its file, from which it is read. Only a window that crosses the end of a batch
is put together of pieces. Opening reads the manifest and the sizes of the files, no content, and
needs neither torch nor pyarrow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from dslm.arrays import Flags, Int64Array, Tokens
from dslm.errors import DataError, Problem
from dslm.files.fingerprint import Expected
from dslm.progress import Advance
from dslm.shards.file_states import FileStates
from dslm.shards.manifest import FILE, Manifest, RecordBatch
from dslm.shards.shard_file import REPAIR, Column, ShardFile


class ShardSet:
    """The tokens of a shard set, and what its manifest says of them.

    Args:
        folder: where the files are.
        manifest: what they should be; nothing is checked here, see `open`.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self.tokens = manifest.statistics.tokens
        self.documents = manifest.statistics.documents
        self.sentences = manifest.statistics.sentences
        self.vocabulary = manifest.vocabulary
        self.maximum_token = manifest.statistics.maximum_token
        self.text_bytes = manifest.statistics.text_bytes
        self.tokenizer_sha256 = manifest.tokenizer_sha256
        self.begin = manifest.begin
        self.dtype = np.dtype(manifest.dtype)
        self._files: dict[int, ShardFile] = {}
        self._columns: dict[tuple[int, str], Column] = {}

    @classmethod
    def open(cls, folder: Path | str) -> ShardSet:
        """Open a shard set after a look at its manifest and at the sizes of its files.

        Raises:
            DataError: the manifest is missing or wrong, or files are missing or of a wrong size.
        """
        manifest = Manifest.load(Path(folder))
        shards = cls(Path(folder), manifest)
        if problems := shards.states.check_sizes():
            raise DataError(*problems)
        return shards

    @property
    def tokenizer(self) -> Path:
        """The folder of the tokenizer that made the tokens."""
        return self.folder / "tokenizer"

    @cached_property
    def fingerprint(self) -> str:
        """A hash over the hashes of all shards: equal for equal tokens in equal order."""
        hashes = "\n".join(shard.sha256 for shard in self.manifest.shards)
        return hashlib.sha256(hashes.encode()).hexdigest()

    @property
    def files(self) -> list[Expected]:
        """The shards as the manifest describes them."""
        rule = f"its bytes have changed since {FILE} was written"
        return [
            Expected(path, shard.bytes, shard.sha256, Problem(str(path), None, rule, REPAIR))
            for shard in self.manifest.shards
            for path in [self.folder / shard.file]
        ]

    @cached_property
    def states(self) -> FileStates:
        """The states of these files, noted when the set is opened."""
        return FileStates(self.files)

    def unlike(self, sha256: str, begin: Sequence[int], other: str) -> str | None:
        """What keeps this text from being read as another's, if anything does.

        Args:
            sha256: the hash of the other's tokenizer.
            begin: the ids with which its documents begin.
            other: what it is, for the answer.
        """
        if self.tokenizer_sha256 != sha256:
            return f"was made with another tokenizer than {other}"
        own, others = (str([*ids]) if ids else "no id" for ids in (self.begin, begin))
        rule = f"has {own} before each document, but {other} has {others} there"
        return rule if own != others else None

    def verify(self, progress: Advance | None = None) -> list[Problem]:
        """Hash every shard and compare: one problem for each that is not what was written.

        Args:
            progress: called with the number of bytes hashed since the last call.
        """
        problems = self.states.check_sizes()
        broken = {problem.where for problem in problems}
        found = [file for file in self.files if str(file.path) not in broken]
        return problems + [file.damage for file in found if not file.whole(progress)]

    def windows(self, starts: Int64Array, length: int) -> Tokens:
        """Gather spans of equal length from the concatenation of all documents.

        Args:
            starts: one dimension, the number of each span's first token.
            length: tokens in a span.

        Returns:
            Shape [len(starts), length], in the dtype of the shards.

        Raises:
            IndexError: a span begins before the first token or ends after the last.
        """
        if starts.size and (starts.min() < 0 or starts.max() + length > self.tokens):
            raise IndexError(f"windows of {length} tokens leave the {self.tokens} tokens there are")
        batches = self._batches_of(starts)
        rows = np.empty((starts.size, length), dtype=self.dtype)
        shards, offsets = self._shards[batches], (starts + self._shifts[batches]) * rows.itemsize
        whole = starts + length <= self._first_tokens[batches + 1]
        for shard in np.unique(shards[whole]).tolist():
            mine = np.flatnonzero(whole & (shards == shard))
            self._file(shard).fill_rows(rows, mine, offsets[mine])
        for row in np.flatnonzero(~whole).tolist():
            rows[row] = self._gather(int(starts[row]), length)
        return rows

    def spans(self, starts: Int64Array, lengths: Int64Array) -> Tokens:
        """Gather spans of any lengths, one after the other.

        Args:
            starts: one dimension, the number of each span's first token.
            lengths: tokens of each span; none reaches beyond its document.

        Returns:
            Shape [sum of lengths], in the dtype of the shards.
        """
        batches = self._batches_of(starts)
        first = (starts + self._shifts[batches]).tolist()
        files = [self._file(shard) for shard in self._shards[batches].tolist()]
        spans = zip(files, first, lengths.tolist(), strict=True)
        parts = [file.tokens(start, length) for file, start, length in spans]
        return np.concatenate([np.empty(0, dtype=self.dtype), *parts])

    def lengths(self) -> Int64Array:
        """Tokens of each document, its end included; shape [documents]."""
        parts = [np.diff(self._ends(batch).read()) for batch in range(len(self._batches))]
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])

    def sentence_starts(self, starts: Int64Array, length: int) -> Flags:
        """Where sentences begin in spans of equal length.

        Args:
            starts: one dimension, the number of each span's first token.
            length: tokens in a span.

        Returns:
            Shape [len(starts), length].
        """
        begins = np.zeros((starts.size, length), dtype=bool)
        first, last = self._batches_of(starts), self._batches_of(starts + length - 1)
        for row, start in enumerate(starts.tolist()):
            for batch in range(first[row], last[row] + 1):
                tokens = self._sentences_between(batch, start, start + length)
                begins[row, tokens - start] = True
        return begins

    def documents_at(self, positions: Int64Array) -> Int64Array:
        """The number of the document that holds each token."""
        found = np.empty_like(positions)
        batches = self._batches_of(positions)
        for batch in np.unique(batches).tolist():
            mine = batches == batch
            within = positions[mine] - self._first_tokens[batch]
            row = self._ends(batch).count_at_most(within) - 1
            found[mine] = self._first_documents[batch] + row
        return found

    def document(self, number: int) -> tuple[int, int]:
        """The first token of a document and the one after its last."""
        batch, row = self.row_of(number)
        first = self._first_tokens[batch]
        begin, end = self._ends(batch).read(row, row + 2).tolist()
        return int(first + begin), int(first + end)

    def sentences_of(self, number: int) -> Int64Array:
        """The first token of each sentence of a document, counted from that of the document."""
        batch, row = self.row_of(number)
        begin, end = self._sentence_ends(batch).read(row, row + 2).tolist()
        return self._sentence_starts(batch).read(begin, end).astype(np.int64)

    def row_of(self, number: int) -> tuple[int, int]:
        """The record batch of a document, counted over all shards, and its row there.

        Raises:
            IndexError: there is no such document.
        """
        if not 0 <= number < self.documents:
            raise IndexError(f"document {number} of {self.documents}")
        batch = int(np.searchsorted(self._first_documents, number, side="right")) - 1
        return batch, number - int(self._first_documents[batch])

    def shard_of(self, batch: int) -> tuple[Path, int]:
        """The file of a record batch, and which of its batches it is."""
        shard = int(self._shards[batch])
        return (
            self.folder / self.manifest.shards[shard].file,
            batch - int(np.searchsorted(self._shards, shard)),
        )

    def _gather(self, start: int, length: int) -> Tokens:
        """A span that crosses the ends of record batches."""
        first, last = self._batches_of(np.array([start, start + length - 1])).tolist()
        borders = self._first_tokens[first + 1 : last + 1].tolist()
        cuts = np.array([start, *borders, start + length])
        return self.spans(cuts[:-1], np.diff(cuts))

    def _batches_of(self, positions: Int64Array) -> Int64Array:
        return np.searchsorted(self._first_tokens, positions, side="right") - 1

    @cached_property
    def _batches(self) -> list[RecordBatch]:
        return [batch for shard in self.manifest.shards for batch in shard.batches]

    @cached_property
    def _first_tokens(self) -> Int64Array:
        """The number of each batch's first token, and at the end the number of tokens."""
        return np.cumsum([0, *(batch.tokens for batch in self._batches)], dtype=np.int64)

    @cached_property
    def _first_documents(self) -> Int64Array:
        """The number of each batch's first document, and at the end the number of documents."""
        return np.cumsum([0, *(batch.documents for batch in self._batches)], dtype=np.int64)

    @cached_property
    def _shards(self) -> Int64Array:
        """The shard of each batch."""
        return np.repeat(
            np.arange(len(self.manifest.shards)),
            [len(shard.batches) for shard in self.manifest.shards],
        )

    @cached_property
    def _shifts(self) -> Int64Array:
        """What turns a token's number into an index of the view of its shard, for each batch."""
        starts = np.array([batch.tokens_at for batch in self._batches], dtype=np.int64)
        return starts // self.dtype.itemsize - self._first_tokens[:-1]

    def _ends(self, batch: int) -> Column:
        """Where each document of a record batch begins, and where the last one ends."""
        return self.column(batch, "ends_at")

    def _sentence_starts(self, batch: int) -> Column:
        """The sentence starts of a record batch, counted within their documents."""
        return self.column(batch, "sentences_at")

    def _sentence_ends(self, batch: int) -> Column:
        """Where the sentence starts of each document of a record batch begin."""
        return self.column(batch, "sentence_ends_at")

    def _sentences_between(self, batch: int, first: int, last: int) -> Int64Array:
        """The tokens `first` … `last - 1` of a record batch with which a sentence begins."""
        origin, ends = self._first_tokens[batch], self._ends(batch)
        counts = ends.count_at_most(np.array([first, last - 1]) - origin).tolist()
        begin, end = max(counts[0] - 1, 0), min(counts[1], ends.size - 1)
        borders = self._sentence_ends(batch).read(begin, end + 1)
        documents = np.repeat(ends.read(begin, end), np.diff(borders))
        starts = self._sentence_starts(batch).read(int(borders[0]), int(borders[-1]))
        tokens: Int64Array = origin + documents + starts
        return tokens[(tokens >= first) & (tokens < last)]

    def column(self, batch: int, name: str) -> Column:
        """A plain array of a record batch, in place."""
        if (batch, name) not in self._columns:
            facts, file = self._batches[batch], self._file(int(self._shards[batch]))
            size, dtype = facts.size_and_dtype(name)
            self._columns[batch, name] = Column(file, getattr(facts, name), size, dtype)
        return self._columns[batch, name]

    def _file(self, shard: int) -> ShardFile:
        """A shard, opened when it is first read."""
        if shard not in self._files:
            path = self.folder / self.manifest.shards[shard].file
            self._files[shard] = ShardFile(path, self.dtype)
        return self._files[shard]
