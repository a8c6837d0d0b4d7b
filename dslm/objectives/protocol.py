"""What the loop asks of an objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from dslm.sampling.stream import RowSource, Samples, WindowSpec
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

Value: TypeAlias = "Tensor | tuple[Tensor, ...]"
Batch: TypeAlias = "tuple[Value, Value]"
"""Inputs and labels of one micro-batch: a tensor or several, the first axis their rows."""

IGNORE = -100
"""The label of a place that does not count."""


@dataclass(frozen=True)
class Context:
    """What an objective works with, whatever its own settings."""

    sequence: int
    """Tokens of a row of inputs."""
    seed: int
    """Decides all that is drawn."""
    borders: bool
    """Whether documents in one row are kept apart."""
    vocabulary: Vocabulary
    """The tokenizer."""
    padded: bool = False
    """Whether rows may end with padding."""


class Objective(Protocol):
    """What an example is, and how its loss is counted.

    Made from its own settings and a `Context`, without torch, so that all it needs is known before
    anything heavy starts.
    """

    extras: tuple[str, ...]
    """The tensors behind the token ids in its inputs, by the names that stages read them by."""
    measures: tuple[str, ...]
    """What is logged beside the loss."""
    window_spec: WindowSpec
    """The windows of text it takes."""
    extra_ids: int
    """Ids it uses beyond those of the tokenizer."""
    scored_fraction: float
    """The share of the places of a row whose scores are computed."""

    def __init__(self, settings: Any, context: Context) -> None: ...

    @staticmethod
    def model(settings: Any) -> Mapping[str, Any]:
        """What it needs of a model: values of `ModelConfig`."""

    def special(self) -> tuple[str, ...]:
        """The special ids without which it cannot be."""

    def source(self, shards: ShardSet) -> RowSource | None:
        """Rows of its own kind; `None` where windows or packed documents serve."""

    def batch(self, samples: Samples) -> Batch:
        """Inputs and labels of some samples, on the CPU."""

    def loss(self, outputs: Any, labels: Any) -> Tensor:
        """A float32 scalar: the mean over rows; a row without labels counts as zero.

        The outputs may be overwritten.
        """

    def measure(self, outputs: Any, labels: Any) -> Tensor:
        """[measures, 2] float32: a sum for each of `measures`, and how many it is a sum of."""
