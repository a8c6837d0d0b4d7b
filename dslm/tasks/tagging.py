"""Tagging: named entities, parts of speech; of words, or of texts without words by characters.

A word's tag is that of its first token (Devlin et al. 2018, section 5.3); its other tokens count
for nothing. For entities that are spans of characters see `spans`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from dslm.arrays import Float32Array, Int64Array
from dslm.config.parse import STRICT
from dslm.metrics.bootstrap import Estimate, estimate
from dslm.metrics.entities import Entity, counts, entities, scores
from dslm.objectives.base import Context
from dslm.objectives.batch import IGNORE, Batch, as_batch, filled
from dslm.progress import counted
from dslm.sampling.stream import Samples
from dslm.tasks.analysis import by_kind, confusion
from dslm.tasks.base import Task
from dslm.tasks.class_weights import ClassWeights
from dslm.tasks.coder import Coder
from dslm.tasks.example import (
    Between,
    Example,
    Prediction,
    Record,
    UnusableError,
    field_of,
    text_of,
)
from dslm.tasks.spans import Placed, as_spans, example_of, kinds_in, placed, tags_that_may_occur

ENTITY = re.compile(r"O|[BIES]-.+")
"""Tags that mark entities."""
BY_ENTITY: dict[str, Callable[[Int64Array], float]] = {
    "f1": lambda rows: scores(rows).f1,
    "precision": lambda rows: scores(rows).precision,
    "recall": lambda rows: scores(rows).recall,
}
"""What is measured of entities; the first is the most telling."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class TaggingConfig:
    """Tagging of words."""

    words: str = "words"
    """The field of the words, a list, or a text whose words stand between spaces."""
    tags: str = "tags"
    """The field of their tags, one for each word."""
    text: str = "text"
    """The field of a text without words, such as a Chinese one."""
    spans: str = "spans"
    """The field of its entities, a list of {"start": 0, "end": 2, "label": "PER"} or [0, 2, "PER"]:
    the first character and the one behind the last, counted from 0 in code points."""
    class_weights: ClassWeights = None
    """What each class counts in the loss that is learned: {"rare": 5.0}, others 1; balanced =
    labels / (classes x labels of this class), as in scikit-learn; null = all the same."""


class Tagging(Task):
    """A tag for each word."""

    kind = "tagging"
    meaning = "a tag for each word of a text"
    config = TaggingConfig
    settings: TaggingConfig

    def __init__(self, settings: TaggingConfig, context: Context) -> None:
        super().__init__(settings, context)
        self.measures = ("tag_loss", "accuracy")

    @classmethod
    def classes(cls, settings: TaggingConfig, records: Iterable[Record]) -> tuple[str, ...]:
        """The tags that occur, sorted, ``O`` first."""
        found = set[str]()
        for record in records:
            if _has_spans(settings, record):
                found |= tags_that_may_occur(kinds_in(record[settings.spans]))
            else:
                found |= {*_listed(record.get(settings.tags))}
        return tuple(sorted(found, key=lambda tag: (tag != "O", tag)))

    @classmethod
    def examples(
        cls, settings: TaggingConfig, record: Record, classes: Sequence[str], coder: Coder
    ) -> list[Example]:
        """The words one behind the other, and the number of a tag at the first token of each.

        Words that the model cannot read any more are left out, and the example counts as shortened.
        """
        if _has_spans(settings, record):
            text = text_of(record, settings.text)
            return [example_of(text, record[settings.spans], classes, coder)]
        words = _listed(field_of(record, settings.words))
        tags = _listed(field_of(record, settings.tags))
        if len(words) != len(tags):
            raise UnusableError(f"has {len(words)} words but {len(tags)} tags")
        if unknown := set(tags) - set(classes):
            raise UnusableError(f"its tag {min(unknown)} is none of those of training")
        ids, labels = list[int](), list[float]()
        room = coder.sequence - len(coder.begin) - len(coder.between)
        for number, (word, tag) in enumerate(zip(words, tags, strict=True)):
            pieces = coder.ids(f" {word}" if number else word)
            if len(ids) + len(pieces) > room:
                break
            ids += pieces
            first = [float(classes.index(tag))] if pieces else []
            labels += first + [float(IGNORE)] * (len(pieces) - 1)
        before, behind = [float(IGNORE)] * len(coder.begin), [float(IGNORE)] * len(coder.between)
        whole, _ = coder.framed([ids])
        cut = sum(label != IGNORE for label in labels) < len(words)
        return [Example(whole, [*before, *labels, *behind], " ".join(words), cut)]

    def batch(self, samples: Samples) -> Batch:
        """Inputs [B, S] with what `extras` names, and tags [B, S]."""
        assert samples.labels is not None
        rows, text = self._trimmed(samples)
        labels = [one.astype(np.int64) for one in samples.labels]
        return as_batch([rows, *self._seen(text)], [filled(labels, rows.shape[1], IGNORE)])

    def drawn_labels(self, draws: np.random.Generator, classes: int, tokens: int) -> Float32Array:
        """A tag for each token."""
        return draws.integers(classes, size=tokens).astype(np.float32)

    def predicted(self, outputs: Any, labels: Any) -> list[Prediction]:
        """The number of a tag for each word that the model has read."""
        rows = zip(labels, outputs.argmax(-1), strict=True)
        return [
            Prediction(gold[gold != IGNORE].tolist(), found[gold != IGNORE].tolist())
            for gold, found in rows
        ]

    def asked(self, texts: Sequence[str], coder: Coder) -> tuple[list[int], list[int]]:
        """The first token of each word, or of each unit where spans were learned."""
        if len(texts) != 1:
            raise UnusableError(f"is {counted(len(texts), 'text')}, but the model reads 1")
        if self.context.units:
            record: Record = {self.settings.text: texts[0], self.settings.spans: []}
        else:
            words = texts[0].split()
            record = {self.settings.words: words, self.settings.tags: ["O"] * len(words)}
        (example,) = self.examples(self.settings, record, ("O",), coder)
        return example.ids, [n for n, label in enumerate(example.labels) if label != IGNORE]

    def of_records(
        self, found: Sequence[Prediction], references: Sequence[Any]
    ) -> list[Prediction]:
        """Of a text with spans each tag with the characters that it is of."""
        pairs = zip(found, references, strict=True)
        return [one if at is None else _placed(one, at["units"]) for one, at in pairs]

    def scores(
        self, found: Sequence[Prediction], classes: Sequence[str], seed: int, resamples: int = 1000
    ) -> dict[str, Estimate]:
        """F1, precision and recall of entities where tags mark them, and accuracy."""
        gold, given = ([_numbers(side) for side in sides] for sides in zip(*found, strict=True))
        pairs = zip(gold, given, strict=True)
        right = np.array([[np.equal(*one).sum(), len(one[0])] for one in pairs])
        named = {"accuracy": estimate(right, _share, seed, resamples)}
        if not _mark_entities(classes):
            return named
        counted = counts(_entities(gold, classes), _entities(given, classes))
        found_by = {
            name: estimate(counted, one, seed, resamples) for name, one in BY_ENTITY.items()
        }
        return found_by | named

    def metrics(self, classes: Sequence[str]) -> tuple[str, ...]:
        """All of them."""
        return (*(BY_ENTITY if _mark_entities(classes) else ()), "accuracy")

    def analysis(self, found: Sequence[Prediction], classes: Sequence[str]) -> dict[str, Any]:
        """How well each kind of entity was found, or which tag was taken for which."""
        gold, given = ([_numbers(side) for side in sides] for sides in zip(*found, strict=True))
        if not _mark_entities(classes):
            return confusion([*chain(*gold)], [*chain(*given)], classes)
        sides = _entities(gold, classes), _entities(given, classes)
        kinds = {one.kind for side in sides for text in side for one in text}
        sums = {kind: counts(*sides, kind).sum(0).tolist() for kind in kinds}
        return by_kind({kind: tuple(row) for kind, row in sums.items()})

    def told(self, side: Any, classes: Sequence[str], between: Between) -> str:
        """The entities with their text, or the tags."""
        tags = [classes[number] for number in _numbers(side)]
        if not _mark_entities(classes):
            return " ".join(tags)
        found = sorted(entities(tags), key=lambda one: one.start)
        return "; ".join(f"{kind}: {between(start, end)}" for kind, start, end in found)

    def named(self, numbers: Any, classes: Sequence[str]) -> list[Any]:
        """The tags, or of a text with spans the entities."""
        if numbers and isinstance(numbers[0], Placed):
            return as_spans(numbers, classes)
        return [classes[number] for number in numbers]


def _has_spans(settings: TaggingConfig, record: Record) -> bool:
    return settings.spans in record and settings.words not in record


def _placed(one: Prediction, places: Sequence[Any]) -> Prediction:
    return Prediction(placed(one.gold, places), placed(one.found, places))


def _numbers(tags: Sequence[Any]) -> list[int]:
    return [tag.number if isinstance(tag, Placed) else tag for tag in tags]


def _entities(texts: Sequence[Sequence[int]], classes: Sequence[str]) -> list[set[Entity]]:
    return [entities([classes[number] for number in text]) for text in texts]


def _mark_entities(classes: Sequence[str]) -> bool:
    return all(ENTITY.fullmatch(name) for name in classes)


def _share(rows: Any) -> float:
    right, words = rows.sum(0).tolist()
    return right / words if words else 0.0


def _listed(value: Any) -> list[str]:
    """Words or tags, however they are given."""
    if isinstance(value, str):
        return value.split()
    return [*map(str, value)] if isinstance(value, (list, tuple)) else []
