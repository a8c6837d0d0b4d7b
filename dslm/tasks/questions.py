"""Questions on a text, each answered by a part of it (Rajpurkar et al. 2016, SQuAD).

A token has two scores, that an answer begins and that it ends with it; the token that stands for no
answer has them as well (Devlin et al. 2018, sections 4.2 and 4.3). A text longer than the model
reads is read in windows that overlap, and the best answer of all of them is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dslm.arrays import Float32Array
from dslm.errors import Problem
from dslm.metrics.bootstrap import Estimate, estimate
from dslm.metrics.questions import Version, exact_match, f1, normalize
from dslm.model.config import ModelConfig
from dslm.objectives.base import Context
from dslm.objectives.batch import IGNORE, Batch, as_batch, filled
from dslm.sampling.stream import Samples
from dslm.tasks.base import Task
from dslm.tasks.coder import Coder
from dslm.tasks.example import (
    Between,
    Example,
    Prediction,
    Record,
    UnusableError,
    following,
    text_of,
)
from dslm.tasks.passages import (
    BEHIND,
    CANDIDATE,
    END,
    NONE,
    START,
    Answer,
    answers_of,
    at,
    flags_of,
    of_rows,
    packed,
    passage,
    unpacked,
    windows,
)
from dslm.tasks.questions_settings import QuestionsConfig

if TYPE_CHECKING:
    from torch import Tensor


class _Found(NamedTuple):
    """What is predicted for a window; log-probabilities in nats."""

    none: float
    """Of no answer."""
    score: float
    """Of the best answer."""
    start: int
    end: int
    """Its first and its last token, counted from the first one behind the question."""


class Questions(Task):
    """The answer to a question in a text."""

    kind = "questions"
    meaning = "where in a text the answer to a question begins and ends"
    config = QuestionsConfig
    divisible = False
    settings: QuestionsConfig

    def __init__(self, settings: QuestionsConfig, context: Context) -> None:
        super().__init__(settings, context)
        self.extras = ("segments", *self.extras) if context.full else ()
        self.measures = ("span_loss", "accuracy")

    @classmethod
    def check(cls, settings: QuestionsConfig, model: ModelConfig) -> list[Problem]:
        """Question and text are segments of two kinds, where a model has any."""
        rule = "question and text are two kinds of segments"
        single = [Problem("model.segments", 1, rule, "use 2, or 0")] if model.segments == 1 else []
        return super().check(settings, model) + single

    def special(self) -> tuple[str, ...]:
        """Those between question and text, where these are two kinds of segments."""
        two = self.context.full and self.context.segments > 1
        return ("cls", "sep") if two else super().special()

    @classmethod
    def classes(cls, settings: QuestionsConfig, records: Iterable[Record]) -> tuple[str, ...]:
        """What the two scores of a token are for."""
        return ("start", "end")

    @classmethod
    def name(cls, settings: QuestionsConfig, record: Record) -> str | None:
        """The question's id."""
        value = record.get(settings.id)
        return None if value is None or value == "" else str(value)

    @classmethod
    def examples(
        cls, settings: QuestionsConfig, record: Record, classes: Sequence[str], coder: Coder
    ) -> list[Example]:
        """Windows of the text behind the question, with flags for their tokens.

        The first right answer is learned, where it is whole in a window. The reference of the first
        window holds what answers are compared with, that of another only where it begins.
        """
        name = cls.name(settings, record)
        if name is None:
            raise UnusableError(f"has no {settings.id}")
        question, context = (text_of(record, key) for key in (settings.question, settings.context))
        text = passage(coder.tokenizer, context)
        answers = _answers(settings, record, context)
        tokens = text.covering(answers[0]) if answers else None
        sizes = settings.stride, settings.longest
        found = [*windows(coder.ids(question), text, tokens, coder, *sizes)]
        learned = text.between(*tokens) if tokens and any(one.answered for one in found) else ""
        right = answers[0].text if answers else ""
        inexact = normalize(learned, settings.language) != normalize(right, settings.language)
        texts = [*dict.fromkeys(one.text for one in answers)]
        whole: dict[str, Any] = {"id": name, "question": question, "answers": texts}
        whole |= {"context": context, "spans": packed(text.spans)}
        return [
            Example(
                one.ids,
                one.flags.tolist(),
                f"{question}\n{context[one.characters]}",
                inexact=inexact,
                reference={"token": one.first, **({} if one.first else whole)},
            )
            for one in found
        ]

    def batch(self, samples: Samples) -> Batch:
        """Inputs [B, S] with what `extras` names, and the flags of each token, [B, S]."""
        assert samples.labels is not None
        rows, text = self._trimmed(samples)
        given = [one.astype(np.int64) for one in samples.labels]
        labels = filled(given, rows.shape[1], IGNORE)
        segments = [np.where(text, labels & BEHIND, 0)] if self.context.full else []
        return as_batch([rows, *segments, *self._seen(text)], [labels])

    def drawn_labels(self, draws: np.random.Generator, classes: int, tokens: int) -> Float32Array:
        """A text behind no question, with an answer in it."""
        flags = np.full(tokens, BEHIND | CANDIDATE)
        flags[0] |= NONE
        start, end = np.sort(draws.integers(tokens, size=2))
        flags[start] |= START
        flags[end] |= END
        return flags.astype(np.float32)

    @classmethod
    def smooths(cls, settings: QuestionsConfig) -> bool:
        """No: an end is one of the tokens of a text, not of a few classes."""
        return False

    def loss(self, outputs: Any, labels: Any) -> Tensor:
        """The mean cross-entropy of both ends among the tokens of a row, summed over the rows."""
        scores, flags = of_rows(outputs, labels)
        both = at(scores[..., 0], flags, START) + at(scores[..., 1], flags, END)
        total: Tensor = -both.sum()[None] / 2
        return total

    def counts(self, labels: Any) -> Tensor:
        """How many rows there are."""
        found: Tensor = (flags_of(labels) & START > 0).sum()[None]
        return found

    def measure(self, outputs: Any, labels: Any) -> Tensor:
        """The loss, and how many rows have both ends right."""
        import torch

        scores, flags = of_rows(outputs, labels)
        ends = flags[..., None] & flags.new_tensor([START, END]) > 0
        right = (scores.argmax(1, keepdim=True) == ends.byte().argmax(1, keepdim=True)).all(2).sum()
        loss, count = self.loss(outputs, labels)[0], self.counts(labels)[0]
        return torch.stack([loss, count, right, count]).float().view(2, 2)

    def predicted(self, outputs: Any, labels: Any) -> list[Prediction]:
        """The best answer of each window, and what it and no answer are worth."""
        import torch

        scores, flags = of_rows(outputs, labels)
        none = at(scores[..., 0], flags, NONE) + at(scores[..., 1], flags, NONE)
        outside = (flags & CANDIDATE == 0)[..., None]
        starts, ends = scores.masked_fill(outside, -torch.inf).unbind(-1)
        reach = min(self.settings.longest, starts.shape[1])
        ends = torch.nn.functional.pad(ends, (0, reach - 1), value=-torch.inf)
        best, place = (starts[..., None] + ends.unfold(1, reach, 1)).flatten(1).max(1)
        first = place // reach - (flags & BEHIND > 0).byte().argmax(1)
        numbers = (none, best, first, first + place % reach)
        rows = zip(*(one.tolist() for one in numbers), strict=True)
        return [Prediction(None, _Found(*row)) for row in rows]

    def groups(self, references: Sequence[Any]) -> list[list[int]]:
        """The windows of each question."""
        return following([reference["token"] == 0 for reference in references])

    def of_records(
        self, found: Sequence[Prediction], references: Sequence[Any]
    ) -> list[Prediction]:
        """The best answer of the windows of each question.

        There is none where even the window that says so least is surer of that (as in BERT's own
        ``run_squad.py``).
        """
        made = list[Prediction]()
        for group in self.groups(references):
            # Between ranks the parts of a prediction have become a list.
            parts = [(references[n]["token"], _Found(*found[n].found)) for n in group]
            made.append(self._of_windows(references[group[0]], parts))
        return made

    def _of_windows(self, whole: Mapping[str, Any], parts: list[tuple[int, _Found]]) -> Prediction:
        token, best = max(parts, key=lambda part: part[1].score)
        none = min(part.none for _, part in parts)
        spans, context = unpacked(whole["spans"]), whole["context"]
        start, end = int(spans[token + best.start, 0]), int(spans[token + best.end, 1])
        answered = not self.settings.unanswerable or best.score - none > self.settings.threshold
        gold = {key: whole[key] for key in ("id", "question", "answers")}
        text, place = (context[start:end], start) if answered else ("", None)
        found = {"predicted": text, "start": place, "score": best.score, "no_answer": none}
        return Prediction(gold, found)

    def asked(self, texts: Sequence[str], coder: Coder) -> tuple[list[int], list[int]]:
        """The tokens with which an answer may begin or end; the question comes before the text."""
        if len(texts) != 2:
            raise UnusableError("is not two: the model reads a question and a text")
        text = passage(coder.tokenizer, texts[1])
        (one,) = windows(coder.ids(texts[0]), text, None, coder, 1, 1)
        return one.ids, np.flatnonzero(one.flags & (CANDIDATE | NONE)).tolist()

    def logs(self, scores: Tensor) -> Tensor:
        """Of a beginning and of an end, among the tokens [S] of a row [S, 2]."""
        return scores.float().log_softmax(-2)

    def scores(
        self, found: Sequence[Prediction], classes: Sequence[str], seed: int, resamples: int = 1000
    ) -> dict[str, Estimate]:
        """F1 and exact match; where some questions have no answer, also F1 of those and others."""
        how = self.settings.language, self._version
        sides = [(one.found["predicted"], one.gold["answers"]) for one in found]
        rows = [(f1(*one, *how), exact_match(*one, *how), bool(one[1])) for one in sides]
        table = np.array(rows, np.float64)
        metrics = {"f1": partial(_mean, 0), "exact_match": partial(_mean, 1)}
        if 0 < table[:, 2].sum() < len(table):
            metrics |= {"has_answer_f1": partial(_mean, 0, kind=1)}
            metrics |= {"no_answer_f1": partial(_mean, 0, kind=0)}
        return {name: estimate(table, metric, seed, resamples) for name, metric in metrics.items()}

    def metrics(self, classes: Sequence[str]) -> tuple[str, ...]:
        """F1 and exact match."""
        return "f1", "exact_match"

    @property
    def _version(self) -> Version:
        """Whose rules answers are compared by."""
        return "2.0" if self.settings.unanswerable else "1.1"

    def is_right(self, found: Prediction) -> bool:
        """Whether one of the right answers is given."""
        given, answers = found.found["predicted"], found.gold["answers"]
        return exact_match(given, answers, self.settings.language, self._version) == 1

    def told(self, side: Any, classes: Sequence[str], between: Between) -> str:
        """The right answers, or the one given."""
        text = side["predicted"] if "predicted" in side else " / ".join(side["answers"])
        return text or "no answer"

    def named(self, numbers: Any, classes: Sequence[str]) -> Any:
        """The question with its answers, or what was answered."""
        return numbers

    def written(self, one: Prediction, classes: Sequence[str]) -> dict[str, Any]:
        """The question, its answers, and what was answered, with its first character."""
        return {**one.gold, **one.found}


def _answers(settings: QuestionsConfig, record: Record, context: str) -> list[Answer]:
    """The right answers of a record; none only where that may be."""
    impossible = str(record.get("is_impossible")).lower() in ("true", "1")
    answers = answers_of(record, settings.answers, context)
    if impossible and answers:
        raise UnusableError("is impossible, but has an answer")
    if not answers and not settings.unanswerable:
        raise UnusableError("has no answer, as only unanswerable=true allows")
    return answers


def _mean(column: int, rows: Any, kind: int | None = None) -> float:
    """The mean of a column, of those rows whose last one says so."""
    kept = rows[:, column] if kind is None else rows[rows[:, 2] == kind, column]
    return float(kept.mean()) if kept.size else float("nan")
