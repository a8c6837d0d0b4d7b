"""Leave out documents that hold the questions of an evaluation.

After Brown et al. 2020 (GPT-3), appendix C: a document is contaminated when it shares 13 words in a
row with an item of an evaluation, case and punctuation aside. An item shorter than that counts when
all of it is in a document, provided that it has eight words, the fewest that the paper takes:

    items  ->  words  ->  runs of words  ->  hashes of the runs and of their first eight words
    documents  ->  words  ->  eight words that begin a run?  ->  the whole of it?  ->  documents

So nearly all text is compared once, however many lengths of item there are. Two runs that differ
have one hash with a probability of about 2**-64: among documents of a million words and an
evaluation of a million runs, one document in some twenty million is left out by mistake.

The share of a *document* that overlaps is another measure than the share of an *item* that was seen
in training, by which later reports (PaLM, Llama) sort evaluation items and not documents.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.arrays import Int64Array, UInt64Array
from dslm.config.parse import STRICT
from dslm.errors import DataError, Problem
from dslm.files.fingerprint import file_sha256
from dslm.preprocess.clean.step import Filter
from dslm.preprocess.document import Document
from dslm.preprocess.text.folded_words import words_without_punctuation
from dslm.preprocess.text.hashing import run_hashes
from dslm.preprocess.text.ragged import Ragged

SHORTEST_ITEM = 8
"""Words; shorter items occur by chance (Brown et al. 2020, appendix C)."""

KEY = "cleaning.contamination.files"
"""How a user says which evaluations."""

_BATCH = 1 << 20  # characters of items that are hashed at once
_WINDOW = 1 << 15  # words of documents that are compared at once, for the processor's cache


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ContaminationConfig:
    """Against which evaluations documents are compared."""

    on: bool = False
    """Whether documents that overlap with an evaluation are left out."""
    files: tuple[str, ...] = ()
    """The evaluations: plain text with an item a line, or JSON lines (``.jsonl``)."""
    text_key: str = "text"
    """The key of a JSON line that holds an item."""
    words: Annotated[int, Field(ge=SHORTEST_ITEM)] = 13
    """How many words in a row (characters, in scripts without spaces) make an overlap."""
    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of a document's words that must lie in overlaps for it to be left out; 0 means
    a single overlap."""


class Contamination(Filter):
    """The step that leaves out contaminated documents.

    Raises:
        DataError: no file is given, one cannot be read, a line of it is no item, or all items are
            too short.
    """

    def __init__(self, settings: ContaminationConfig) -> None:
        super().__init__(settings)
        openings: list[UInt64Array] = []
        found: defaultdict[int, list[UInt64Array]] = defaultdict(list)
        for items in map(words_without_punctuation, _batches(_items(settings))):
            for length, starts in _to_find(items, settings.words):
                openings.append(_run_hashes_at(items, starts, SHORTEST_ITEM))
                found[length].append(_run_hashes_at(items, starts, length))
        if not openings:
            rule = f"none has an item of {SHORTEST_ITEM} words or more: nothing would be found"
            raise DataError(Problem(KEY, list(settings.files), rule, "leave them out"))
        self._openings = _Known(openings)
        self._known = {length: _Known(wholes) for length, wholes in found.items()}

    def reasons(self, documents: Sequence[Document]) -> list[str | None]:
        """``contamination`` for what is not to be kept."""
        words = words_without_punctuation([document.text for document in documents])
        overlapping = np.zeros(words.values.size, np.bool_)
        openings = self._find_openings(words.values)
        room = words.offsets[np.searchsorted(words.offsets, openings, "right")] - openings
        for length, known in self._known.items():
            starts = openings[room >= length]
            starts = starts[known.find(_run_hashes_at(words, starts, length))]
            overlapping[starts[:, None] + np.arange(length)] = True
        overlaps = np.diff(np.searchsorted(np.flatnonzero(overlapping), words.offsets))
        contaminated = (overlaps > 0) & (overlaps >= self._settings.share * words.lengths)
        return ["contamination" if bad else None for bad in contaminated.tolist()]

    def _find_openings(self, words: UInt64Array) -> Int64Array:
        """Where the first words of something to be found are; hardly anywhere, as a rule."""
        found = [np.empty(0, np.intp)]
        for first in range(0, len(words), _WINDOW):
            part = words[first : first + _WINDOW + SHORTEST_ITEM - 1]
            found.append(first + self._openings.find(run_hashes(part, SHORTEST_ITEM)))
        return np.concatenate(found)


def fingerprints(settings: ContaminationConfig) -> dict[str, str]:
    """The sha256 of each evaluation file by its name, for a manifest to keep.

    Raises:
        DataError: two files have the same name, or one cannot be read.
    """
    names = Counter(Path(file).name for file in settings.files)
    if twice := [file for file in settings.files if names[Path(file).name] > 1]:
        rule, fix = "another evaluation has this name", "rename one of them"
        raise DataError(*(Problem(file, None, rule, fix) for file in twice))
    try:
        return {Path(file).name: file_sha256(Path(file).expanduser()) for file in settings.files}
    except OSError as error:
        raise _unreadable(str(error.filename), error) from None


class _Known:
    """The hashes of an evaluation, laid out to be searched for very many others."""

    def __init__(self, hashes: Sequence[UInt64Array]) -> None:
        self._sorted = np.unique(np.concatenate(hashes))
        # Nearly all questions are answered by one look into a table of at most 16 MB.
        self._shift = np.uint64(64 - min(24, len(self._sorted).bit_length() + 5))
        self._table = np.zeros(1 << (64 - int(self._shift)), bool)
        self._table[self._sorted >> self._shift] = True

    def find(self, hashes: UInt64Array) -> Int64Array:
        """The positions of those hashes that are known."""
        candidates = np.flatnonzero(self._table[hashes >> self._shift])
        positions = np.searchsorted(self._sorted, hashes[candidates])
        near = self._sorted[np.minimum(positions, len(self._sorted) - 1)]
        found: Int64Array = candidates[near == hashes[candidates]]
        return found


def _run_hashes_at(words: Ragged[np.uint64], starts: Int64Array, length: int) -> UInt64Array:
    """The hash of so many words from each of some words on."""
    values = words.values[starts + np.arange(length)[:, None]]  # [length, starts]
    return run_hashes(values, length).reshape(-1)


def _to_find(items: Ragged[np.uint64], length: int) -> Iterator[tuple[int, Int64Array]]:
    """All runs of words in long items, and the whole of each short one.

    Yields:
        Some number of words, and where the runs of that many words to be found begin.
    """
    totals = np.repeat(items.lengths, items.lengths)
    room = np.repeat(items.offsets[1:], items.lengths) - np.arange(totals.size)
    for size in range(SHORTEST_ITEM, length + 1):
        wanted = (totals == size) if size < length else (totals >= length)
        if (starts := np.flatnonzero(wanted & (room >= size))).size:
            yield size, starts


def _batches(items: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    yield batch


def _items(settings: ContaminationConfig) -> Iterator[str]:
    """The items of all evaluations, one after the other."""
    if not settings.files:
        raise DataError(Problem(KEY, None, "no evaluation is given", "name at least one file"))
    for file in settings.files:
        try:
            with Path(file).expanduser().open(encoding="utf-8-sig") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield _item(line, f"{file}, line {number}", settings)
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(file, error) from None


def _item(line: str, where: str, settings: ContaminationConfig) -> str:
    if not where.rpartition(", ")[0].endswith(".jsonl"):
        return line
    try:
        text = json.loads(line)[settings.text_key]
    except (ValueError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        rule = f"is no JSON object with text under the key {settings.text_key!r}"
        raise DataError(Problem(where, None, rule, "set text_key"))
    return text


def _unreadable(file: str, error: OSError | UnicodeDecodeError) -> DataError:
    reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
    return DataError(Problem(file, None, f"cannot be read as an evaluation: {reason}"))
