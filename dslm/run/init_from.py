"""The run whose weights another run begins with: an imported model, or one trained before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dslm.errors import CheckpointError, Problem
from dslm.model.config import NO_BOTTLENECK, NO_CLASSES, ModelConfig
from dslm.model.lora import LoraConfig
from dslm.run.checkpoint import checkpoints, verify_sizes
from dslm.run.folder import RunFolder
from dslm.run.mistaken import is_run, not_a_run
from dslm.shards.shard_set import ShardSet
from dslm.tasks.registry import ObjectiveConfig
from dslm.tokenizers.pair_frame import PairFrame
from dslm.tokenizers.tokenizer import TokenizerCard

KEY = "init_from"
"""The setting that names the run."""
NO_RUNS = ("scratch", "resume", "none", "random")
"""Words of other trainers for what happens without `KEY`."""
FREE: tuple[str, ...] = ("dropout", "recompute", "initialization", "zero_output")
FREE += ("router_balance_loss", "router_z_loss")
"""Settings of a model that say nothing about its weights."""
MEANT = {
    "head_width": "key_width",
    "key_value_heads": "query_groups",
    "feed_forward": "inner_width",
}
"""Those that may be left out, and what they come to then."""
HEADS = ("transform", "pair_head", *NO_BOTTLENECK, *NO_CLASSES)
OTHERS = ("attention", "layers", "vocabulary", *HEADS)
"""Those that may differ, because what both models have means the same in both: see
`dslm.train.weight_transfer`."""


@dataclass(frozen=True)
class SourceRun:
    """A run whose weights another begins with."""

    run: str
    checkpoint: Path
    """The newest of that run."""
    model: ModelConfig
    objective: ObjectiveConfig
    tokenizer_sha256: str
    begin: tuple[int, ...]
    """The ids with which its texts begin."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    """The adapters of its weights."""
    pair: PairFrame | None = None
    """Those around source and target that came with it."""

    @property
    def tokenizer(self) -> Path:
        """The folder of its tokenizer."""
        return RunFolder(Path(self.run)).tokenizer

    @property
    def shape(self) -> dict[str, Any]:
        """The settings of its model."""
        return asdict(self.model)


def open_source_run(run: str) -> SourceRun:
    """Look up the run that another is to begin with.

    Raises:
        UserError: it is no run, or has no checkpoint yet.
    """
    folder = RunFolder(Path(run))
    if not is_run(folder.path):
        if run in NO_RUNS and not folder.path.exists():
            rule = "is no run: without it weights are drawn, and the same command again resumes"
            raise CheckpointError(Problem(KEY, run, rule, "leave it out"))
        raise CheckpointError(not_a_run(folder.path, key=KEY))
    config = folder.read_config()
    found = checkpoints(folder.checkpoints)
    if not found:
        raise CheckpointError(Problem(KEY, run, "this run has no checkpoint yet"))
    card = TokenizerCard.load(folder.tokenizer)
    model, objective = config.model, config.objective
    named = model, objective, card.sha256, card.begin, config.lora, card.pair
    return SourceRun(run, found[0][1], *named)


def damaged_source(source: SourceRun, wrong: Sequence[Problem]) -> CheckpointError:
    """The mistake of beginning with weights that are damaged, and what to do.

    Args:
        source: the run that gives its weights.
        wrong: what is wrong with their files.
    """
    newest, *older = checkpoints(source.checkpoint.parent)
    whole = [step for step, folder in older if not verify_sizes(folder, moments=False)]
    rule, fix = f"its newest checkpoint, of step {newest[0]:,}, is damaged", "choose another run"
    if whole:
        fix = f"remove {source.checkpoint} to begin with that of step {whole[0]:,}"
    return CheckpointError(*wrong, Problem(KEY, source.run, rule, fix))


def check_init_from(source: SourceRun, model: ModelConfig, shards: ShardSet) -> list[Problem]:
    """Whether weights of one run serve another.

    Kinds of segments may be added; taken away, they would leave vectors without what was added to
    each of them.

    Args:
        source: the run that gives its weights.
        model: the shape it is to have.
        shards: what it is to read.
    """
    free = {*FREE, *OTHERS, *(() if model.positions == "learned" else ("sequence",))}
    free |= {"segments"} if model.segments > source.model.segments else set()
    problems = [
        Problem(f"model.{key}", value, f"{source.run} has {before!r}", "leave it out")
        for (key, value), before in zip(asdict(model).items(), source.shape.values(), strict=True)
        if value != before and key not in free and not _same(key, source.model, model)
    ]
    rule = shards.unlike(source.tokenizer_sha256, source.begin, source.run)
    if rule is None and TokenizerCard.load(shards.tokenizer).pair != source.pair:
        rule = f"has a tokenizer with other ids around source and target than {source.run}"
    if rule:
        fix = f"shard the text with --tokenizer {source.run}/tokenizer"
        problems.append(Problem("data.train", str(shards.folder), rule, fix))
    return problems


def _same(key: str, before: ModelConfig, model: ModelConfig) -> bool:
    """Whether a setting that is written in two ways means the same in two models."""
    return key in MEANT and getattr(before, MEANT[key]) == getattr(model, MEANT[key])
