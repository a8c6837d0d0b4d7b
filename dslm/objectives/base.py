"""What an objective is, and what follows from it wherever it does not say otherwise.

A new objective is a file with a subclass of `Objective` and a line in `registry.KINDS`.
Everything that depends on what a model learns is an attribute or a method here; nothing outside
this folder asks which objective a run has. The defaults are those of a causal model: windows of
tokens, one stack, the cross-entropy of scores, a prompt that is continued.

Nothing here loads torch until a batch is made, so that all of it is known before anything expensive
starts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from dslm.errors import Problem
from dslm.model.config import NO_CLASSES, ONE_STACK, ModelConfig
from dslm.objectives.batch import IGNORE, Batch, Value
from dslm.objectives.completion import Completion, Continue
from dslm.sampling.stream import RowSource, Samples, WindowSpec
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

Refusals: TypeAlias = Mapping[str, tuple[str, str]]
"""Keys below `data`, each with why it does not go with an objective and what to do instead."""


@dataclass(frozen=True)
class Context:
    """What an objective works with, whatever its own settings."""

    sequence: int
    """Tokens of a row of inputs."""
    seed: int
    """Decides everything that is random."""
    borders: bool
    """Whether documents in one row are kept apart."""
    vocabulary: Vocabulary
    """The tokenizer."""
    padded: bool = False
    """Whether rows may end with padding."""
    full: bool = False
    """Whether a token sees those behind it."""
    trimmed: bool = False
    """Whether the rows of a batch may be shorter than those of another."""
    two_stacks: bool = False
    """Whether an encoder reads a source and a decoder writes a target."""
    label_smoothing: float = 0.0
    """The share of each label that is spread over all classes while the model learns."""
    class_weights: tuple[float, ...] = ()
    """What each class counts while the model learns; all count 1 where there are none."""
    segments: int = 0
    """Kinds of segments that the model knows."""
    units: bool = False
    """Whether a tagger has learned from spans of characters, a tag for each unit of a text."""


class Objective(ABC):
    """What an example is, how its loss is counted, and what both require of a run.

    The class methods need only the settings, before any tokenizer is read; the rest belongs to an
    objective over the text of one tokenizer.

    Args:
        settings: an instance of `config`.
        context: what the run decides.
    """

    kind: ClassVar[str]
    """Its name in the settings, which is that of its module."""
    meaning: ClassVar[str]
    """What is predicted, as ``--help`` shows it."""
    config: ClassVar[type[Any]]
    """Its settings: a settings class in which every field has a default."""
    covers_text: ClassVar[bool] = False
    """Whether the loss is that of every token of a text but the first, so that the bits of each
    byte follow from it."""
    divisible: ClassVar[bool] = True
    """Whether its loss is a sum over positions, so that ranks can share a row."""

    extras: tuple[str, ...] = ()
    """The tensors behind the token ids in its inputs, by the names under which stages use them."""
    parts: int = 1
    """Parts of its loss, one for each tensor of labels."""
    measures: tuple[str, ...] = ()
    """What is logged beside the loss."""
    extra_ids: int = 0
    """Ids it uses beyond those of the tokenizer."""
    scored_fraction: float = 1.0
    """The share of the positions of a row whose scores are computed."""
    varying: bool = False
    """Whether its rows differ in length from batch to batch."""
    learning: bool = False
    """Whether its loss is one to be learned from: only then are labels smoothed and classes
    weighted."""
    window: WindowSpec
    """The windows of text it takes."""
    repeats: bool = False
    """Whether each epoch is to have the same windows."""

    def __init__(self, settings: Any, context: Context) -> None:
        self.settings, self.context = settings, context
        self.window = WindowSpec(context.sequence)

    @classmethod
    def model(cls, settings: Any) -> dict[str, Any]:
        """What it decides of the model: values of `ModelConfig`."""
        plain = {**ONE_STACK, **NO_CLASSES}
        return {"attention": "causal", "transform": False, "pair_head": False, **plain}

    @classmethod
    def token_loss(cls, settings: Any) -> str | None:
        """Which of the loss and `measures` is in nats a token, if any."""
        return "loss"

    @classmethod
    def smooths(cls, settings: Any) -> bool:
        """Whether its loss is the cross-entropy of labels, which can be smoothed."""
        return True

    @classmethod
    def class_weights(cls, settings: Any, shards: Sequence[ShardSet]) -> tuple[float, ...]:
        """What each class counts, see `Context.class_weights`.

        Args:
            settings: an instance of `config`.
            shards: the sets that are learned from.
        """
        return ()

    @classmethod
    def check(cls, settings: Any, model: ModelConfig) -> list[Problem]:
        """What contradicts itself between objective and model."""
        rule = f"objective.kind = {cls.kind} needs"
        return [
            Problem(f"model.{key}", found, f"{rule} {value!r}", "leave it out")
            for key, value in cls.model(settings).items()
            if (found := getattr(model, key)) != value
        ]

    @classmethod
    def refuses(cls, settings: Any) -> Refusals:
        """The settings of the data that must keep their defaults."""
        rule = f"does not go with objective.kind={cls.kind}, which takes a row as one text"
        return {"document_borders": (rule, "leave it out")}

    def special(self) -> tuple[str, ...]:
        """The special ids that it cannot do without; here the end by which documents are known."""
        return ("eos",) if self.context.borders else ()

    def check_shards(self, shards: ShardSet) -> list[Problem]:
        """Why it cannot be trained on a shard set; asked only where no special id is missing."""
        return []

    def class_count(self, shards: ShardSet) -> int:
        """How many classes a model scores that learns from a shard set; none where it is text."""
        return 0

    def source(self, shards: ShardSet) -> RowSource | None:
        """Rows of its own kind; `None` where windows or packed documents serve."""
        return None

    @abstractmethod
    def batch(self, samples: Samples) -> Batch:
        """Inputs and labels of some samples, on the CPU."""

    def held_out(self) -> Mapping[str, Callable[[Samples], Batch]]:
        """The losses that are measured on held-out text, and how the batches of each are made.

        The first is `loss`, by which a run stops; here that of training is the only one.
        """
        return {"loss": self.batch}

    def loss(self, outputs: Any, labels: Any) -> Tensor:
        """[parts] float32: sums over all labels that count; zero where none does.

        Each is divided by how many of them a whole step has, see `counts`; the loss is the sum of
        these means. Here the negative log-likelihood in nats. The outputs may be overwritten.
        """
        from dslm.objectives.cross_entropy import cross_entropy

        smoothing = self.context.label_smoothing if self.learning else 0.0
        return cross_entropy(outputs, labels, self._weights(outputs), smoothing)[None]

    def counts(self, labels: Value) -> Tensor:
        """[parts] int64: how many labels each part of the loss is a sum over.

        Where classes have weights, these are added up instead, in float64.
        """
        import torch

        parts = labels if isinstance(labels, tuple) else (labels,)
        weights = self._weights(parts[0])
        if weights is None:
            return torch.stack([(part != IGNORE).sum() for part in parts])
        of_labels = [weights.double()[part.clamp(min=0)] * (part != IGNORE) for part in parts]
        return torch.stack([each.sum() for each in of_labels])

    def measure(self, outputs: Any, labels: Any) -> Tensor:
        """[measures, 2] float32: a sum for each of `measures`, and how many it is a sum of.

        Here those of the loss and of the accuracy; asked only where there are `measures`.
        """
        from dslm.objectives.cross_entropy import loss_and_accuracy

        return loss_and_accuracy(outputs, labels)

    def completion(self) -> Completion | None:
        """How a trained model completes a prompt; `None` where it cannot."""
        return Continue()

    def _weights(self, like: Tensor) -> Tensor | None:
        """[classes] float32: what each class counts now, where another tensor is."""
        from dslm.objectives.cross_entropy import on_device

        weights = self.context.class_weights
        return on_device(weights, like.device) if self.learning and weights else None
