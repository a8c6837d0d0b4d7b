"""What a user reads of a run in which not everything learns alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dslm.model.tuning import ALL
from dslm.objectives.base import Objective
from dslm.run.config import RunConfig
from dslm.shards.labels import task_of
from dslm.shards.shard_set import ShardSet

SHOWN = 8
"""Weights of classes in a line."""


def learned_lines(config: RunConfig, weights: Mapping[str, float] | None = None) -> Iterator[str]:
    """Lines for the first screen and that of ``check``; none where everything learns alike.

    Args:
        config: the settings, vocabulary and classes filled in.
        weights: what each class counts, where it is known.
    """
    tuning, model = config.tuning, config.model
    if tuning != ALL:
        parts = [f"{tuning.learned(model):,} of {tuning.total(model):,} parameters"]
        if tuning.lora.rank:
            targets, scale = ", ".join(tuning.lora.words), tuning.lora.scale
            parts.append(f"LoRA of rank {tuning.lora.rank} × {scale:g} on {targets}")
        if tuning.words:
            parts.append(f"frozen: {', '.join(tuning.words)}")
        if tuning.layer_rate_decay != 1:
            parts.append(f"rates × {tuning.layer_rate_decay} from block to block downwards")
        yield " · ".join(parts)
    labels = []
    if weights:
        shown = [f"{name} {weight:.3g}" for name, weight in weights.items()][:SHOWN]
        labels.append(f"classes count {', '.join(shown)}{', …' if len(weights) > SHOWN else ''}")
    if config.label_smoothing:
        labels.append(f"labels smoothed by {config.label_smoothing}")
    if labels:
        yield f"{' · '.join(labels)}; validation is plain"


def named_weights(objective: Objective, shards: ShardSet) -> dict[str, float]:
    """What each class counts by its name; none where all count the same."""
    weights, task = objective.context.class_weights, task_of(shards)
    return dict(zip(task.classes, weights, strict=True)) if task and weights else {}
