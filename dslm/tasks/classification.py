"""Classification of a text or of two: one class of several, several at once, or an amount.

The vector that is classified is that of the first token where tokens see all others (Devlin et al.
2018), else that of the last one (Radford et al. 2018), which has seen the whole text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from dslm.arrays import Float32Array
from dslm.config.parse import STRICT
from dslm.errors import Problem
from dslm.metrics.bootstrap import Estimate, estimate
from dslm.metrics.classification import (
    accuracy,
    macro_f1,
    matthews,
    multilabel_macro_f1,
    multilabel_micro_f1,
    subset_accuracy,
)
from dslm.metrics.regression import pearson, spearman
from dslm.model.config import ModelConfig
from dslm.objectives.base import Context
from dslm.objectives.batch import IGNORE, Batch
from dslm.progress import counted
from dslm.sampling.stream import Samples
from dslm.tasks.analysis import amounts, by_kind, confusion
from dslm.tasks.base import Task
from dslm.tasks.class_weights import ClassWeights
from dslm.tasks.coder import Coder
from dslm.tasks.example import Example, Prediction, Record, UnusableError, field_of, text_of

if TYPE_CHECKING:
    from torch import Tensor

METRICS: dict[str, dict[str, Any]] = {
    "one": {"accuracy": accuracy, "macro_f1": macro_f1, "matthews": matthews},
    "several": {
        "micro_f1": multilabel_micro_f1,
        "macro_f1": multilabel_macro_f1,
        "subset_accuracy": subset_accuracy,
    },
    "amount": {"pearson": pearson, "spearman": spearman},
}
"""What is measured, by what labels are; the first is the most telling."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ClassificationConfig:
    """Classification of texts."""

    text: str = "text"
    """The field of the text."""
    second: str | None = None
    """The field of a second text, such as a hypothesis; null = there is none."""
    label: str = "label"
    """The field of what is to be learned."""
    labels: Literal["one", "several", "amount"] = "one"
    """What that holds: one class; a list of any number of classes; a number (regression)."""
    class_weights: ClassWeights = None
    """What each class counts in the loss that is learned: {"rare": 5.0}, others 1; balanced =
    labels / (classes x labels of this class), as in scikit-learn; null = all the same."""
    pooler: bool = True
    """Whether a layer of its own comes before the scores, as in BERT; where a token sees only those
    before it, none does."""


class Classification(Task):
    """A text's class."""

    kind = "classification"
    meaning = "the class of a text, its classes, or an amount"
    config = ClassificationConfig
    settings: ClassificationConfig

    def __init__(self, settings: ClassificationConfig, context: Context) -> None:
        super().__init__(settings, context)
        self.segmented = settings.second is not None and self.separator is not None
        self.extras = (*self.extras, *(["segments"] if self.segmented else []), "selected")
        self.scored_fraction = 1 / context.sequence
        if settings.labels != "amount":
            self.measures = ("class_loss", "accuracy")

    @classmethod
    def model(cls, settings: ClassificationConfig) -> dict[str, Any]:
        """BERT's pooler before the classes, unless it is not wanted; a bias as in BERT only."""
        return {**super().model(settings), "pooler": settings.pooler, "class_bias": None}

    @classmethod
    def smooths(cls, settings: ClassificationConfig) -> bool:
        """Only where one class is right."""
        return settings.labels == "one"

    @classmethod
    def check(cls, settings: ClassificationConfig, model: ModelConfig) -> list[Problem]:
        """Also, that there are classes to be weighted, of which one is right."""
        problems = super().check(settings, model)
        if settings.class_weights is not None and settings.labels != "one":
            where, rule = "objective.classification.class_weights", "needs labels=one"
            problems.append(Problem(where, settings.class_weights, rule, "leave it out"))
        return problems

    @classmethod
    def classes(cls, settings: ClassificationConfig, records: Iterable[Record]) -> tuple[str, ...]:
        """The labels that occur, sorted; the amount alone where there are none."""
        if settings.labels == "amount":
            return (settings.label,)
        found = {str(one) for record in records for one in _labels(settings, record)}
        return tuple(sorted(found, key=_by_number))

    @classmethod
    def examples(
        cls, settings: ClassificationConfig, record: Record, classes: Sequence[str], coder: Coder
    ) -> list[Example]:
        """The text or the two texts, and the number of the class, a flag for each, or the amount.

        A text that is longer than the model reads is cut at its end.
        """
        keys = [settings.text, *([settings.second] if settings.second else [])]
        texts = [text_of(record, key) for key in keys]
        ids, cut = coder.framed([coder.ids(text) for text in texts])
        return [Example(ids, _numbers(settings, record, classes), "\n".join(texts), cut)]

    def batch(self, samples: Samples) -> Batch:
        """Inputs [B, S] with what `extras` names, and labels [B, 1] or, for several, [B, 1, C]."""
        import torch

        assert samples.labels is not None
        rows, text = self._trimmed(samples)
        last = text.sum(1, keepdims=True) - 1
        selected = np.zeros_like(last) if self.context.full else last
        segments = [self.segments(rows)] if self.segmented else []
        inputs = [rows, *self._seen(text), *segments, selected]
        labels = torch.from_numpy(np.stack(samples.labels))
        if self.settings.labels == "one":
            labels = labels.long()
        elif self.settings.labels == "several":
            labels = labels[:, None]
        return tuple(map(torch.from_numpy, map(np.ascontiguousarray, inputs))), labels

    def drawn_labels(self, draws: np.random.Generator, classes: int, tokens: int) -> Float32Array:
        """A class, a flag for each, or an amount."""
        if self.settings.labels == "amount":
            return draws.standard_normal(1, np.float32)
        several = self.settings.labels == "several"
        drawn = draws.integers(2, size=classes) if several else draws.integers(classes, size=1)
        return drawn.astype(np.float32)

    def loss(self, outputs: Any, labels: Any) -> Tensor:
        """Cross-entropy of the class, of each class by itself, or squared errors, summed up."""
        from torch.nn import functional as F

        if self.settings.labels == "one":
            return super().loss(outputs, labels)
        counted = labels != IGNORE
        found = outputs.float().view_as(labels)[counted]
        if self.settings.labels == "amount":
            return F.mse_loss(found, labels[counted], reduction="sum")[None]
        return F.binary_cross_entropy_with_logits(found, labels[counted], reduction="sum")[None]

    def measure(self, outputs: Any, labels: Any) -> Tensor:
        """Loss and accuracy; of several classes, each counts by itself."""
        import torch

        if self.settings.labels == "one":
            return super().measure(outputs, labels)
        counted = labels != IGNORE
        right = ((outputs.view_as(labels) > 0) == (labels > 0.5))[counted].sum()
        count = counted.sum()
        return torch.stack([self.loss(outputs, labels)[0], count, right, count]).float().view(2, 2)

    def predicted(self, outputs: Any, labels: Any) -> list[Prediction]:
        """The number of the class, a flag for each class, or the amount."""
        gold, scores = labels[:, 0].tolist(), outputs[:, 0]
        if self.settings.labels == "one":
            found = scores.argmax(-1).tolist()
        elif self.settings.labels == "several":
            found = (scores > 0).tolist()
        else:
            found = scores[:, 0].tolist()
        return [*map(Prediction, gold, found)]

    def logs(self, scores: Tensor) -> Tensor:
        """Of several classes, each is there or not by itself."""
        from torch.nn import functional as F

        return (
            F.logsigmoid(scores.float())
            if self.settings.labels == "several"
            else super().logs(scores)
        )

    def asked(self, texts: Sequence[str], coder: Coder) -> tuple[list[int], list[int]]:
        """The vector that is classified."""
        if len(texts) != (wanted := 2 if self.settings.second else 1):
            raise UnusableError(f"is {counted(len(texts), 'text')}, but the model reads {wanted}")
        ids, _ = coder.framed([*map(coder.ids, texts)])
        return ids, [0 if self.context.full else len(ids) - 1]

    def scores(
        self, found: Sequence[Prediction], classes: Sequence[str], seed: int, resamples: int = 1000
    ) -> dict[str, Estimate]:
        """Accuracy and F1 of classes, correlations of amounts."""
        records = np.array(found, dtype=np.float64)
        return {
            name: estimate(records, partial(_of_pairs, metric), seed, resamples)
            for name, metric in METRICS[self.settings.labels].items()
        }

    def metrics(self, classes: Sequence[str]) -> tuple[str, ...]:
        """All of them."""
        return tuple(METRICS[self.settings.labels])

    def analysis(self, found: Sequence[Prediction], classes: Sequence[str]) -> dict[str, Any]:
        """Which class was taken for which, how well each was found, or the amounts."""
        gold, given = zip(*found, strict=True)
        if self.settings.labels == "one":
            return confusion([*map(int, gold)], given, classes)
        if self.settings.labels == "amount":
            return amounts(gold, given)
        right, predicted = np.array(gold, dtype=bool), np.array(given, dtype=bool)
        sums = np.stack([right & predicted, predicted, right]).sum(1).T.tolist()
        return by_kind({name: tuple(row) for name, row in zip(classes, sums, strict=True)})

    def named(self, numbers: Any, classes: Sequence[str]) -> Any:
        """The class, the list of classes, or the amount."""
        if self.settings.labels == "amount":
            return numbers
        if self.settings.labels == "one":
            return classes[numbers]
        return [name for name, applies in zip(classes, numbers, strict=True) if applies]


def _of_pairs(metric: Any, records: Any) -> float:
    value: float = metric(records[:, 0], records[:, 1])
    return value


def _labels(settings: ClassificationConfig, record: Record) -> list[Any]:
    """What a record's label field holds, as a list."""
    value = record.get(settings.label)
    if settings.labels == "several":
        return value if isinstance(value, list) else []
    return [] if value is None or value == "" or isinstance(value, (list, dict)) else [value]


def _numbers(settings: ClassificationConfig, record: Record, classes: Sequence[str]) -> list[float]:
    """The labels of a record."""
    value = field_of(record, settings.label)
    if settings.labels == "amount":
        try:
            amount = float(value)
        except (TypeError, ValueError):
            raise UnusableError(f"its {settings.label} is no number") from None
        if not math.isfinite(amount):
            raise UnusableError(f"its {settings.label} is no number")
        return [amount]
    if settings.labels == "several" and not isinstance(value, list):
        raise UnusableError(f"its {settings.label} is no list")
    if settings.labels == "one" and isinstance(value, (list, dict)):
        raise UnusableError(f"its {settings.label} is no single class")
    numbers = [_number(settings, one, classes) for one in _labels(settings, record)]
    if settings.labels == "one":
        return [float(numbers[0])]
    return [float(number in numbers) for number in range(len(classes))]


def _number(settings: ClassificationConfig, label: Any, classes: Sequence[str]) -> int:
    if str(label) not in classes:
        raise UnusableError(f"its {settings.label} is none of the classes of training")
    return classes.index(str(label))


def _by_number(label: str) -> tuple[bool, float, str]:
    """Numbers in their order, before words in theirs."""
    is_number = label.removeprefix("-").isdigit()
    return not is_number, float(label) if is_number else 0.0, label
