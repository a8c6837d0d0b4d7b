"""Leave out documents that hold the questions of an evaluation.

After Brown et al. 2020 (GPT-3), appendix C: a document is contaminated when it shares 13 words in a
row with an item of an evaluation, case and punctuation aside. An item shorter than that counts when
all of it stands in a document, provided that it has eight words, the fewest that the paper takes:

    items  ->  words  ->  runs of words  ->  hashes of the runs and of their first eight words
    documents  ->  words  ->  eight words that begin a run?  ->  the whole of it?  ->  documents

So nearly all text is compared once, however many lengths of item there are. `ngrams` makes the
words and hashes of many texts at once. Two runs that differ have one hash with a probability of
about 2**-64: among documents of a million words and an evaluation of a million runs, one document
in some twenty million is left out by mistake.

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
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import DataError, Problem
from dslm.files.fingerprint import file_sha256
from dslm.preprocess.document import Document
from dslm.preprocess.text.ngrams import Hashes, Indices, Words, all_hashes, fits, hashes, words

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
    """The share of a document's words that must lie in overlaps for it to be left out; 0 stands for
    a single overlap."""


class Contamination:
    """The step that leaves out contaminated documents; see `dslm.preprocess.clean.step.Step`.

    Raises:
        DataError: no file is given, one cannot be read, a line of it is no item, or all items are
            too short.
    """

    def __init__(self, settings: ContaminationConfig) -> None:
        self._share = settings.share
        openings: list[Hashes] = []
        found: defaultdict[int, list[Hashes]] = defaultdict(list)
        for items in map(words, _batches(_items(settings))):
            for length, starts in _to_find(items, settings.words):
                openings.append(hashes(items, starts, SHORTEST_ITEM))
                found[length].append(hashes(items, starts, length))
        if not openings:
            rule = f"none has an item of {SHORTEST_ITEM} words or more: nothing would be found"
            raise DataError(Problem(KEY, list(settings.files), rule, "leave them out"))
        self._openings = _Known(openings)
        self._known = {length: _Known(wholes) for length, wholes in found.items()}

    def __call__(self, documents: Sequence[Document], counts: Counter[str]) -> list[str | None]:
        """Compare documents; changes and counts nothing.

        Returns:
            ``contamination`` for what is not to be kept.
        """
        split = words([document.text for document in documents])
        overlapping = np.zeros(len(split.hashes), bool)
        openings = self._find_openings(split)
        for length, known in self._known.items():
            starts = openings[fits(split, openings, length)]
            starts = starts[known.find(hashes(split, starts, length))]
            overlapping[starts[:, None] + np.arange(length)] = True
        totals = np.diff(np.searchsorted(split.texts, np.arange(len(documents) + 1)))
        overlaps = np.bincount(split.texts[overlapping], minlength=len(documents))
        contaminated = (overlaps > 0) & (overlaps >= self._share * totals)
        return ["contamination" if bad else None for bad in contaminated.tolist()]

    def _find_openings(self, split: Words) -> Indices:
        """Where the first words of something to be found stand; hardly anywhere, as a rule."""
        found = [np.empty(0, np.intp)]
        for first in range(0, len(split.hashes), _WINDOW):
            part = split[first : first + _WINDOW + SHORTEST_ITEM - 1]
            found.append(first + self._openings.find(all_hashes(part, SHORTEST_ITEM)))
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
        return {Path(file).name: file_sha256(Path(file)) for file in settings.files}
    except OSError as error:
        raise _unreadable(str(error.filename), error) from None


class _Known:
    """The hashes of an evaluation, laid out to be searched for very many others."""

    def __init__(self, hashes: Sequence[Hashes]) -> None:
        self._sorted = np.unique(np.concatenate(hashes))
        # Nearly all questions are answered by one look into a table of at most 16 MB.
        self._shift = np.uint64(64 - min(24, len(self._sorted).bit_length() + 5))
        self._table = np.zeros(1 << (64 - int(self._shift)), bool)
        self._table[self._sorted >> self._shift] = True

    def find(self, hashes: Hashes) -> npt.NDArray[np.intp]:
        """The positions of those hashes that are known."""
        candidates = np.flatnonzero(self._table[hashes >> self._shift])
        places = np.searchsorted(self._sorted, hashes[candidates])
        near = self._sorted[np.minimum(places, len(self._sorted) - 1)]
        found: Indices = candidates[near == hashes[candidates]]
        return found


def _to_find(items: Words, length: int) -> Iterator[tuple[int, Indices]]:
    """All runs of words in long items, and the whole of each short one.

    Yields:
        Some number of words, and where as many stand that are to be found.
    """
    everywhere = np.arange(len(items.hashes))
    totals = np.bincount(items.texts)[items.texts]
    for words_together in range(SHORTEST_ITEM, length + 1):
        inside = fits(items, everywhere, words_together)
        wanted = (totals == words_together) if words_together < length else (totals >= length)
        if (starts := np.flatnonzero(inside & wanted)).size:
            yield words_together, starts


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
            with Path(file).open(encoding="utf-8-sig") as lines:
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
