"""Objectives over made-up tokenizers, for the tests that need one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from dslm.config.parse import parse
from dslm.objectives.base import Context
from dslm.tasks.registry import ObjectiveConfig, make_objective
from dslm.tokenizers.pair_frame import PairFrame
from dslm.tokenizers.vocabulary import Vocabulary

SPECIAL = {"unk": 0, "eos": 1, "pad": 2, "cls": 3, "sep": 4, "mask": 5}


def made(
    kind: str = "causal",
    sequence: int = 8,
    size: int = 100,
    special: dict[str, int] | None = None,
    borders: bool = False,
    seed: int = 0,
    folder: Path = Path("nowhere"),
    padded: bool = False,
    two_stacks: bool = False,
    smoothing: float = 0.0,
    weights: tuple[float, ...] = (),
    pair: PairFrame | None = None,
    gaps: tuple[int, ...] = (),
    **settings: Any,
) -> Any:
    """An objective with some of its settings changed."""
    special = SPECIAL if special is None else special
    vocabulary = Vocabulary(size, special, folder, pair=pair, gaps=gaps)
    config = parse(ObjectiveConfig, {"kind": kind, kind: settings})
    learned = {"label_smoothing": smoothing, "class_weights": weights}
    context = Context(sequence, seed, borders, vocabulary, padded, two_stacks=two_stacks, **learned)
    return make_objective(config, context)


def mean_loss(objective: Any, outputs: Any, labels: Any) -> Tensor:
    """The loss of a step that consists of one micro-batch."""
    loss: Tensor = (objective.loss(outputs, labels) / objective.counts(labels).clamp(min=1)).sum()
    return loss
