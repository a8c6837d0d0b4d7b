"""Named entities: from tags and back, and how many were found (Tjong Kim Sang and De Meulder 2003).

An entity is right if its kind and both of its ends are. The path of a text: its tags become a set
of entities, over words or over characters; sets become counts, a row for each text; counts become
scores. Equal to seqeval's, by scheme or without one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from typing import Literal, NamedTuple

import numpy as np

from dslm.arrays import Int64Array
from dslm.errors import DataError, Problem
from dslm.metrics.records import Scores, check, precision_recall_f1

Scheme = Literal["BIO", "IOB1", "BIOES"]
"""How tags mark entities: B begins each one (Ratnaparkhi 1998), B only where one follows another of
its kind (Ramshaw and Marcus 1995), or with the last and the single word marked too."""

PREFIXES: dict[Scheme | None, str] = {"BIO": "BI", "IOB1": "BI", "BIOES": "BIES", None: "BIES"}


class Entity(NamedTuple):
    """Words or characters from `start` to `end`, without the one at `end`, and what they name."""

    kind: str
    start: int
    end: int


def entities(tags: Sequence[str], scheme: Scheme | None = None) -> set[Entity]:
    """The entities that tags mark.

    Args:
        tags: of a text, each ``O`` or a prefix and a kind, as ``B-PER``; without a kind it is
            ``_``.
        scheme: drop what the scheme does not allow (seqeval's strict mode, which for IOB1 begins
            no entity with a B that follows none). Without one a wrong beginning is one as well
            (seqeval's default mode, that of CoNLL's script); it reads tags of all schemes.

    Raises:
        DataError: a tag that is no tag of the scheme.
    """
    parts = [*_parts(tags, PREFIXES[scheme]), ("O", "")]
    begins = BEGINS[scheme]
    found: set[Entity] = set()
    before, start = ("O", ""), None
    for place, part in enumerate(parts):
        if start is not None and not _goes_on(before, part):
            if _ends(before, part, scheme):
                found.add(Entity(before[1], start, place))
            start = None
        if start is None and begins(before, part):
            start = place
        before = part
    return found


def tags_of(spans: Collection[Entity], length: int, scheme: Scheme) -> list[str]:
    """The tags that mark entities in a text of `length` words or characters.

    Raises:
        DataError: an entity that is empty, outside the text, or overlaps another.
    """
    tags = ["O"] * length
    kind_before, end_before = "", 0
    for kind, start, end in sorted(spans, key=lambda span: span.start):
        if not end_before <= start < end <= length:
            rule = f"within the text of {length} words and beyond the entity before it"
            raise DataError(Problem("entity", (kind, start, end), rule, "leave one of them out"))
        tags[start:end] = [f"I-{kind}"] * (end - start)
        if scheme != "IOB1" or (0 < start == end_before and kind == kind_before):
            tags[start] = f"B-{kind}"
        if scheme == "BIOES":
            tags[end - 1] = f"E-{kind}" if end - start > 1 else f"S-{kind}"
        kind_before, end_before = kind, end
    return tags


def over_words(spans: Collection[Entity], words: Sequence[tuple[int, int]]) -> set[Entity]:
    """Entities over characters as entities over words.

    Args:
        spans: in characters of the text.
        words: where each word begins and ends in the text, in order.

    Raises:
        DataError: an entity begins or ends within a word, or between words.
    """
    begins = {start: place for place, (start, _) in enumerate(words)}
    ends = {end: place + 1 for place, (_, end) in enumerate(words)}
    cut = [span for span in spans if span.start not in begins or span.end not in ends]
    if cut:
        rule, fix = "ends where no word ends", "divide the text into smaller words, or characters"
        raise DataError(*(Problem("entity", tuple(span), rule, fix) for span in cut))
    return {Entity(kind, begins[start], ends[end]) for kind, start, end in spans}


def over_characters(spans: Collection[Entity], words: Sequence[tuple[int, int]]) -> set[Entity]:
    """Entities over words as entities over characters; `words` as in `over_words`."""
    return {Entity(kind, words[start][0], words[end - 1][1]) for kind, start, end in spans}


def counts(
    gold: Sequence[Set[Entity]], predicted: Sequence[Set[Entity]], kind: str | None = None
) -> Int64Array:
    """How many entities of each text were found, how many predicted, how many there are.

    Args:
        gold: the right entities of each text.
        predicted: those predicted.
        kind: count only those of this kind.

    Returns:
        Shape [N, 3]; sums of rows give scores, so it is what an interval draws from.

    Raises:
        DataError: no text, or not as many of one as of the other.
    """
    check(gold, predicted)
    rows = [
        [len(found & right), len(found), len(right)]
        for right, found in zip(_of(gold, kind), _of(predicted, kind), strict=True)
    ]
    return np.array(rows, dtype=np.int64)


def scores(counted: Int64Array) -> Scores:
    """Precision, recall and F1 over all texts (micro-averaged); 0 where nothing is to be found."""
    hits, predicted, gold = counted.sum(axis=0).tolist()
    return precision_recall_f1(hits, predicted, gold)


def scores_by_kind(
    gold: Sequence[Set[Entity]], predicted: Sequence[Set[Entity]]
) -> dict[str, Scores]:
    """The scores of each kind that occurs, right or predicted, sorted; errors as in `counts`."""
    kinds = {entity.kind for text in (*gold, *predicted) for entity in text}
    return {kind: scores(counts(gold, predicted, kind)) for kind in sorted(kinds)}


def _of(texts: Sequence[Set[Entity]], kind: str | None) -> list[set[Entity]]:
    return [{one for one in text if kind in (None, one.kind)} for text in texts]


Part = tuple[str, str]
"""The prefix of a tag and the kind."""


def _parts(tags: Sequence[str], prefixes: str) -> list[Part]:
    parts = [("O", "") if tag == "O" else (tag[:1], tag[2:] or "_") for tag in tags]
    strange = [
        Problem(f"tag {place}", tag, f"not O, and not one of {', '.join(prefixes)} with a kind")
        for place, (tag, (prefix, _)) in enumerate(zip(tags, parts, strict=True))
        if tag != "O" and (not prefix or prefix not in prefixes or tag[1:2] not in ("", "-"))
    ]
    if strange:
        raise DataError(*strange)
    return parts


def _begins_any(before: Part, part: Part) -> bool:
    return part[0] in "BS" or (part[0] in "IE" and (before[0] in "OES" or before[1] != part[1]))


def _begins_marked(before: Part, part: Part) -> bool:
    return part[0] in "BS"


def _begins_iob1(before: Part, part: Part) -> bool:
    if part[0] == "B":
        return before[0] != "O" and before[1] == part[1]
    return part[0] == "I" and (before[0] in "OB" or before[1] != part[1])


BEGINS = {
    None: _begins_any,
    "BIO": _begins_marked,
    "BIOES": _begins_marked,
    "IOB1": _begins_iob1,
}


def _goes_on(before: Part, part: Part) -> bool:
    """Whether a part is within the entity to which the one before belongs."""
    return part[0] in "IE" and before[0] in "BI" and before[1] == part[1]


def _ends(before: Part, part: Part, scheme: Scheme | None) -> bool:
    """Whether what does not go on is an entity by the scheme."""
    if scheme == "BIOES":
        return before[0] in "ES"
    # As seqeval: a B of another kind right behind one of one word cannot be by IOB1.
    return scheme != "IOB1" or (before[0], part[0]) != ("B", "B") or before[1] == part[1]
