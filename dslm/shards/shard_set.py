"""A folder of shards, opened: all its documents as one long row of tokens, read in place.

The path of a window: its start is looked up among the first tokens of all batches, which gives a
shard and an index into its memory map; one indexing gathers all windows of a shard. Only a window
that crosses the end of a batch is put together token by token. Opening reads the manifest
and the sizes of the files, no content, and needs neither torch nor pyarrow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dslm.arrays import Flags, Int64Array, Tokens
from dslm.errors import DataError, Problem
from dslm.files.fingerprint import Expected
from dslm.progress import Advance
from dslm.shards.manifest import FILE, Manifest, RecordBatch

REPAIR = "copy it again or shard again"


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
        self._views: dict[int, Tokens] = {}

    @classmethod
    def open(cls, folder: Path | str) -> ShardSet:
        """Open a shard set after a look at its manifest and at the sizes of its files.

        Raises:
            DataError: the manifest is missing or wrong, or files are missing or of a wrong size.
        """
        manifest = Manifest.load(Path(folder))
        shards = cls(Path(folder), manifest)
        if problems := shards._check_sizes():
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
        problems = self._check_sizes()
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
        whole = starts + length <= self._first_tokens[batches + 1]
        for shard in np.unique(self._shards[batches[whole]]).tolist():
            mine = np.flatnonzero(whole & (self._shards[batches] == shard))
            windows = np.lib.stride_tricks.sliding_window_view(self._view(shard), length)
            rows[mine] = windows[starts[mine] + self._shifts[batches[mine]]]
        for row in np.flatnonzero(~whole).tolist():
            rows[row] = self._gather(starts[row] + np.arange(length))
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
        views = [self._view(shard) for shard in self._shards[batches].tolist()]
        first = starts + self._shifts[batches]
        spans = zip(views, first.tolist(), (first + lengths).tolist(), strict=True)
        parts = [view[start:end] for view, start, end in spans]
        return np.concatenate([np.empty(0, dtype=self.dtype), *parts])

    def lengths(self) -> Int64Array:
        """Tokens of each document, its end included; shape [documents]."""
        parts = [np.diff(self._ends(batch)) for batch in range(len(self._batches))]
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
            row = np.searchsorted(self._ends(batch), within, "right") - 1
            found[mine] = self._first_documents[batch] + row
        return found

    def document(self, number: int) -> tuple[int, int]:
        """The first token of a document and the one after its last."""
        batch, row = self.row_of(number)
        ends, first = self._ends(batch), self._first_tokens[batch]
        return int(first + ends[row]), int(first + ends[row + 1])

    def sentences_of(self, number: int) -> Int64Array:
        """The first token of each sentence of a document, counted from that of the document."""
        batch, row = self.row_of(number)
        starts, ends = self._sentences(batch)
        return starts[ends[row] : ends[row + 1]].astype(np.int64)

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

    def _gather(self, positions: Int64Array) -> Tokens:
        """The tokens at any positions, shape [positions]."""
        batches = self._batches_of(positions)
        shards, indices = self._shards[batches], positions + self._shifts[batches]
        tokens = np.empty(positions.size, dtype=self.dtype)
        for shard in np.unique(shards).tolist():
            mine = shards == shard
            tokens[mine] = self._view(shard)[indices[mine]]
        return tokens

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

    def _ends(self, batch: int) -> Int64Array:
        """Where each document of a record batch begins, and where the last one ends."""
        return self._array(batch, "ends_at", np.int64, self._batches[batch].documents + 1)

    def _sentences(self, batch: int) -> tuple[Tokens, Int64Array]:
        """Sentence starts within their documents, and where those of each document begin."""
        facts = self._batches[batch]
        starts = self._array(batch, "sentences_at", np.uint32, facts.sentences)
        return starts, self._array(batch, "sentence_ends_at", np.int64, facts.documents + 1)

    def _sentences_between(self, batch: int, first: int, last: int) -> Int64Array:
        """The tokens `first` … `last - 1` of a record batch with which a sentence begins."""
        ends, (starts, sentence_ends) = self._ends(batch), self._sentences(batch)
        origin = self._first_tokens[batch]
        begin = max(int(np.searchsorted(ends, first - origin, "right")) - 1, 0)
        end = int(np.searchsorted(ends[:-1], last - origin))
        borders = sentence_ends[begin : end + 1]
        documents = np.repeat(ends[begin:end], np.diff(borders))
        tokens: Int64Array = origin + documents + starts[borders[0] : borders[-1]]
        return tokens[(tokens >= first) & (tokens < last)]

    def _array(self, batch: int, name: str, dtype: npt.DTypeLike, size: int) -> Tokens:
        """A plain array of a record batch, in place."""
        raw = self._view(int(self._shards[batch])).view(np.uint8)
        start = getattr(self._batches[batch], name)
        return raw[start : start + size * np.dtype(dtype).itemsize].view(dtype)

    def _view(self, shard: int) -> Tokens:
        """The whole file as tokens; a plain array, since slicing a `memmap` costs twice as much."""
        if shard not in self._views:
            path = self.folder / self.manifest.shards[shard].file
            self._views[shard] = np.asarray(np.memmap(path, dtype=self.dtype, mode="r"))
        return self._views[shard]

    def _check_sizes(self) -> list[Problem]:
        problems = []
        for shard in self.manifest.shards:
            path = self.folder / shard.file
            if not path.is_file():
                problems.append(Problem(str(path), None, "no such file", REPAIR))
            elif (size := path.stat().st_size) != shard.bytes:
                rule = f"{size} bytes where {FILE} says {shard.bytes}"
                problems.append(Problem(str(path), None, rule, REPAIR))
        return problems
