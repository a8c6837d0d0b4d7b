"""What a task is: how a record becomes an example, which head it needs, how it is scored.

A task is an objective whose rows are labelled examples. So everything that trains, resumes, checks
and reports a language model does the same for it. A new task is a file with a subclass of `Task`
and a line in `registry.KINDS`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dslm.arrays import Flags, Float32Array, Int64Array
from dslm.errors import Problem
from dslm.metrics.bootstrap import Estimate
from dslm.model.config import ONE_STACK
from dslm.objectives.base import Context, Objective, Refusals
from dslm.objectives.completion import Completion
from dslm.sampling.examples import ExampleRows
from dslm.sampling.stream import Samples, WindowSpec
from dslm.shards.labels import task_of
from dslm.shards.shard_set import ShardSet
from dslm.tasks.class_weights import ClassWeights, check_class_weights, weights_of
from dslm.tasks.coder import Coder
from dslm.tasks.example import Between, Example, Prediction, Record

if TYPE_CHECKING:
    from torch import Tensor


class Task(Objective):
    """Labelled examples: what is learned of them, and how predictions are measured."""

    writes: ClassVar[bool] = False
    """Whether what is predicted is a text to be written, not what the outputs say at once."""
    takes_shots: ClassVar[bool] = False
    """Whether solved records may stand before each, so that nothing has to be learned."""
    longest: int
    """Tokens that an example has at most."""

    def __init__(self, settings: Any, context: Context) -> None:
        super().__init__(settings, context)
        self.window = WindowSpec(context.sequence)
        self.longest = context.sequence
        self.varying = context.trimmed
        special = context.vocabulary.special
        self.padding = special.get("pad", special.get("eos", 0))
        self.extras = ("visibility",) if context.full else ()
        framed = context.full and {"cls", "sep"} <= special.keys()
        self.separator = special["sep"] if framed and context.segments > 1 else None

    @classmethod
    def model(cls, settings: Any) -> dict[str, Any]:
        """A head for as many classes as the data has, on blocks of any kind."""
        of_tokens = {"transform": False, "pair_head": False, "pooler": False}
        return {**ONE_STACK, **of_tokens, "class_bias": True}

    @classmethod
    def token_loss(cls, settings: Any) -> str | None:
        """None: what is predicted are no tokens."""
        return None

    @classmethod
    def class_weights(cls, settings: Any, shards: Sequence[ShardSet]) -> tuple[float, ...]:
        """Those of the settings, in the order of the classes; `balanced` ones are counted."""
        task = task_of(shards[0]) if shards else None
        wanted: ClassWeights = getattr(settings, "class_weights", None)
        return () if task is None or wanted is None else weights_of(wanted, task.classes, shards)

    @classmethod
    def refuses(cls, settings: Any) -> Refusals:
        """Whatever makes rows of text."""
        rule = f"does not go with objective.kind={cls.kind}, whose rows are examples"
        keys = ("document_borders", "packing", "augmentation")
        return dict.fromkeys(keys, (rule, "leave it out"))

    def check_shards(self, shards: ShardSet) -> list[Problem]:
        """Whether the set holds examples of this task, none longer than the model reads."""
        where, task = str(shards.folder), task_of(shards)
        if task is None or task.kind != self.kind:
            rule = "holds " + ("text" if task is None else f"examples for {task.kind}")
            fix = f"give labelled records: launch/fine_tune.py RUN --task {self.kind}"
            return [Problem(where, None, f"{rule}, not examples for {self.kind}", fix)]
        wanted: ClassWeights = getattr(self.settings, "class_weights", None)
        if problems := check_class_weights(self.kind, wanted, task.classes):
            return problems
        longest = int(shards.lengths().max(initial=0))
        if longest <= self.longest:
            return []
        rule = f"its longest example has {longest} tokens, but model.sequence is"
        rule = f"{rule} {self.context.sequence}"
        return [Problem(where, None, rule, "make the examples again for this model")]

    def class_count(self, shards: ShardSet) -> int:
        """As many as occur in it."""
        task = task_of(shards)
        return len(task.classes) if task else 0

    def source(self, shards: ShardSet) -> ExampleRows:
        """A row for each example."""
        return ExampleRows(shards, self.longest, self.padding)

    def completion(self) -> Completion | None:
        """None: no text is written."""
        return None

    @classmethod
    @abstractmethod
    def classes(cls, settings: Any, records: Iterable[Record]) -> tuple[str, ...]:
        """What the classes are called, in the order of their numbers; none where there are none."""

    @classmethod
    @abstractmethod
    def examples(
        cls, settings: Any, record: Record, classes: Sequence[str], coder: Coder
    ) -> Sequence[Example]:
        """What a record becomes: one example, or several that are windows or choices of it.

        Raises:
            UnusableError: nothing can be learned of it.
        """

    @abstractmethod
    def drawn_labels(self, draws: np.random.Generator, classes: int, tokens: int) -> Float32Array:
        """Any labels of an example of so many tokens."""

    @classmethod
    def name(cls, settings: Any, record: Record) -> str | None:
        """What a record is called, as no other one of a file may be; `None` = nothing."""
        return None

    def predicted(self, outputs: Any, labels: Any) -> list[Prediction]:
        """What is right and what was predicted for each row of a batch, in numbers.

        Asked where a task does not write; see `sources` where it does.

        Args:
            outputs: of the model, [B, M, C].
            labels: of `batch`.
        """
        raise NotImplementedError

    def sources(self, ids: Sequence[int], labels: Sequence[int]) -> list[list[int]]:
        """The ids behind which a text is written, for each of an example that is to be.

        What is written becomes a `Prediction` each, whose gold is not known yet. Asked where a task
        writes.

        Args:
            ids: of an example.
            labels: of the same.
        """
        raise NotImplementedError

    def groups(self, references: Sequence[Any]) -> list[list[int]]:
        """The examples that each prediction of `of_records` is about; here one each.

        Args:
            references: `Example.reference` of each example of a set, in order.
        """
        return [[number] for number in range(len(references))]

    def of_records(
        self, found: Sequence[Prediction], references: Sequence[Any]
    ) -> Sequence[Prediction]:
        """The predictions for records, from those for their examples.

        Args:
            found: a prediction for each example of a set, in order.
            references: `Example.reference` of each.
        """
        return found

    def asked(self, texts: Sequence[str], coder: Coder) -> tuple[list[int], list[int]] | None:
        """What the model reads of texts without labels, and where it predicts classes.

        Args:
            texts: one, or the two of a pair.
            coder: makes the ids.

        Returns:
            Ids and positions; `None` where no classes are predicted.

        Raises:
            UnusableError: a text is missing, or one too many.
        """
        return None

    def logs(self, scores: Tensor) -> Tensor:
        """Log-probabilities of classes [S, C], of the scores at the positions of a row."""
        return scores.float().log_softmax(-1)

    @abstractmethod
    def scores(
        self, found: Sequence[Prediction], classes: Sequence[str], seed: int, resamples: int = 1000
    ) -> dict[str, Estimate]:
        """The metrics of the task with their intervals, the most telling one first.

        Args:
            found: a prediction for each record.
            classes: what numbers are called.
            seed: of the bootstrap.
            resamples: of the bootstrap; 0 for metrics without intervals.
        """

    def metrics(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Those of `scores` by which the best model may be chosen, the most telling one first.

        Each is the better the higher. Without any it is chosen by the loss.
        """
        return ()

    def analysis(self, found: Sequence[Prediction], classes: Sequence[str]) -> dict[str, Any]:
        """What a report shows of all predictions together, see `dslm.tasks.analysis`."""
        return {}

    def is_right(self, found: Prediction) -> bool:
        """Whether a prediction for a record is what it should be."""
        return bool(found.gold == found.found)

    def told(self, side: Any, classes: Sequence[str], between: Between) -> str:
        """A side of a prediction for a record in a line for a reader."""
        named = self.named(side, classes)
        if isinstance(named, list):
            return ", ".join(map(str, named))
        return f"{named:.4g}" if isinstance(named, float) else str(named)

    @abstractmethod
    def named(self, numbers: Any, classes: Sequence[str]) -> Any:
        """What is right, or was predicted, as a record says it."""

    def segments(self, rows: Int64Array) -> Int64Array:
        """Which text each token is of, [B, S]: 1 behind the first id that ends a text, else 0."""
        ends = rows == self.separator
        return np.asarray((np.cumsum(ends, 1) > ends).astype(np.int64))

    def written(self, one: Prediction, classes: Sequence[str]) -> dict[str, Any]:
        """A line of a file of predictions."""
        gold, found = (self.named(side, classes) for side in one)
        return {"label": gold, "predicted": found}

    def _trimmed(self, samples: Samples) -> tuple[Int64Array, Flags]:
        """Rows [B, S] and where they hold text, as wide as the longest where this is allowed."""
        rows, text = samples.tokens.astype(np.int64), samples.text
        width = int(text.sum(1).max(initial=1)) if self.context.trimmed else rows.shape[1]
        return rows[:, :width], text[:, :width]

    def _seen(self, text: Flags) -> list[Int64Array]:
        """What `extras` begins with: who sees whom, where a token sees all others."""
        return [-text.astype(np.int64)] if self.context.full else []
