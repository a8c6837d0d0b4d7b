"""Entities as spans of characters, of texts that have no words: to tags of tokens and back.

The path of a record: its spans are read and checked; its text becomes tokens, and these units, the
smallest pieces of text that begin and end with tokens; an entity has to be some whole units, so
that tags of units say the very same; a unit's tag is that of its first token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from dslm.errors import DataError
from dslm.metrics.entities import Entity, entities, over_characters, over_words, tags_of
from dslm.objectives.batch import IGNORE
from dslm.tasks.coder import Coder
from dslm.tasks.example import Example, UnusableError
from dslm.tokenizers.offsets import spans_of
from dslm.tokenizers.tokenizer import Tokenizer

Span = tuple[int, int]
"""The first character, and the one after the last; characters are code points."""


class Unit(NamedTuple):
    """A piece of a text."""

    token: int
    """The first of its tokens."""
    start: int
    end: int
    """Its characters, without space around them."""


class Placed(NamedTuple):
    """The number of a tag, and the characters that it is of."""

    number: int
    start: int
    end: int


def tags_that_may_occur(kinds: Iterable[str]) -> set[str]:
    """The tags of any spans of some kinds."""
    return {"O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI")}


def kinds_in(value: Any) -> set[str]:
    """The labels of spans, as far as they can be read."""
    try:
        return {one.kind for one in _read(value)}
    except UnusableError:
        return set()


def example_of(text: str, value: Any, classes: Sequence[str], coder: Coder) -> Example:
    """A text with spans as an example; its reference says where each unit stands.

    A text that is longer than the model reads is cut, but within no entity.

    Args:
        text: of the record.
        value: its spans, each with start, end and label, by name or in this order.
        classes: the tags of training.
        coder: makes the ids.

    Raises:
        UnusableError: the spans cannot be read, or say what tags of tokens cannot.
    """
    found = _read(value)
    if any(not 0 <= one.start < one.end <= len(text) for one in found):
        raise UnusableError("a span of it is empty or outside its text")
    if unknown := {f"B-{one.kind}" for one in found} - set(classes):
        raise UnusableError(f"its label {min(unknown)[2:]} is none of those of training")
    if any(after.start < one.end for one, after in pairwise(found)):
        raise UnusableError("its spans overlap")
    ids = coder.ids(text)
    pieces = units(coder.tokenizer, text, ids)
    room = coder.sequence - len(coder.begin) - len(coder.between)
    if cut := len(ids) > room:
        pieces = _within(pieces, room, found)
        end = pieces[-1].end if pieces else 0
        found = [one for one in found if one.end <= end]
    if not pieces:
        raise UnusableError("has no text that can be tagged")
    places = [(one.start, one.end) for one in pieces]
    try:
        tags = tags_of(over_words(found, places), len(pieces), "BIO")
    except DataError:
        raise UnusableError("a span of it begins or ends within a token") from None
    labels = np.full(min(len(ids), room), IGNORE)
    labels[[one.token for one in pieces]] = [classes.index(tag) for tag in tags]
    whole, _ = coder.framed([ids])
    before, behind = [float(IGNORE)] * len(coder.begin), [float(IGNORE)] * len(coder.between)
    return Example([*whole], [*before, *labels.tolist(), *behind], text, cut, {"units": places})


def units(tokenizer: Tokenizer, text: str, ids: Sequence[int]) -> list[Unit]:
    """The smallest pieces of a text that begin and end with tokens.

    Tokens of less than a character, such as bytes, belong to one unit; tokens of space alone to
    none.

    Args:
        tokenizer: of any kind.
        text: what it has read.
        ids: what it made of it.

    Raises:
        UnusableError: its tokens cannot be placed in the text.
    """
    try:
        starts, ends = spans_of(tokenizer, text, np.asarray(ids, tokenizer.dtype)).T
    except DataError:
        raise UnusableError("the places of its tokens are not known") from None
    before = np.maximum.accumulate(np.append(0, ends))[:-1]
    first = np.flatnonzero((np.diff(starts, prepend=-1) > 0) & (starts >= before))
    found = []
    for token, (start, end) in zip(
        first.tolist(), pairwise([*starts[first].tolist(), len(text)]), strict=True
    ):
        piece = text[start:end]
        left, right = len(piece) - len(piece.lstrip()), len(piece.rstrip())
        if right > 0:
            found.append(Unit(token, start + left, start + right))
    return found


def placed(numbers: Sequence[int], places: Sequence[Span]) -> list[Placed]:
    """The tags of the units of a text, with where these stand."""
    return [Placed(number, *place) for number, place in zip(numbers, places, strict=True)]


def as_spans(tags: Sequence[Placed], classes: Sequence[str]) -> list[dict[str, Any]]:
    """What tags say, as a record says it, in the order of the text."""
    over_units = entities([classes[one.number] for one in tags])
    found = over_characters(over_units, [(one.start, one.end) for one in tags])
    ordered = sorted(found, key=lambda one: (one.start, one.end))
    return [{"start": one.start, "end": one.end, "label": one.kind} for one in ordered]


def _read(value: Any) -> list[Entity]:
    """Spans in the order of the text."""
    if not isinstance(value, list):
        raise UnusableError("its spans are no list")
    return sorted(map(_entity, value), key=lambda one: (one.start, one.end))


def _entity(span: Any) -> Entity:
    if isinstance(span, dict):
        span = [span.get(key) for key in ("start", "end", "label")]
    if not isinstance(span, (list, tuple)) or len(span) != 3:
        raise UnusableError("a span of it is not start, end and label")
    start, end, label = span
    if type(start) is not int or type(end) is not int or not isinstance(label, str) or not label:
        raise UnusableError("a span of it is not start, end and label")
    return Entity(label, start, end)


def _within(pieces: Sequence[Unit], room: int, found: Sequence[Entity]) -> list[Unit]:
    """The units of the first tokens, without those of an entity that goes on."""
    ends = [one.token for one in pieces[1:]]
    kept = [one for one, end in zip(pieces, ends, strict=False) if end <= room]
    while kept and any(one.start < kept[-1].end < one.end for one in found):
        kept.pop()
    return kept
