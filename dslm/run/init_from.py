"""The run whose weights another run begins with: an imported model, or one trained before."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dslm.errors import CheckpointError, Problem, nearest
from dslm.model.config import NO_BOTTLENECK, ModelConfig
from dslm.objectives.registry import ObjectiveConfig
from dslm.run.checkpoint import checkpoints
from dslm.run.folder import RunFolder
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.tokenizer import TokenizerCard

FREE = ("dropout", "recompute", "initialization")
"""Settings of a model that say nothing about its weights."""
OTHERS = ("attention", "transform", "pair_head", "layers", "vocabulary", *NO_BOTTLENECK)
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
    if problem := no_run(run):
        raise CheckpointError(problem)
    config = folder.read_config()
    found = checkpoints(folder.checkpoints)
    if not found:
        raise CheckpointError(Problem("init_from", run, "this run has no checkpoint yet"))
    card = TokenizerCard.load(folder.tokenizer)
    return SourceRun(run, found[0][1], config.model, config.objective, card.sha256, card.begin)


def no_run(run: str) -> Problem | None:
    """What `init_from` names instead of a run, if it is clear; nothing is ever downloaded.

    Args:
        run: as it was given.
    """
    path = Path(run)
    if (path / "run.json").exists() or checkpoints(path / "checkpoints"):
        return None
    key, imported = "init_from", "runs/imported"
    if not path.exists() and run in ("scratch", "resume", "none", "random"):
        rule = "is no run: without it weights are drawn, and the same command again resumes"
        return Problem(key, run, rule, "leave it out")
    for parent in list(path.absolute().parents)[:3]:
        if path.exists() and (parent / "run.json").is_file():
            return Problem(key, run, "is a part of a run", f"write {key}={_above(path, parent)}")
    model = next((one for one in (path, path.parent) if (one / "config.json").is_file()), None)
    if model:
        fix = f"write dslm hub import {model} {imported}, and then {key}={imported}"
        return Problem(key, run, "is a model in Hugging Face's form, not a run", fix)
    if path.exists():
        rule = "is not the folder of a run: it has no run.json"
        return Problem(key, run, rule, f"write {key}=…, a folder that pretrain or import has made")
    near = nearest(run, [str(one.parent) for one in path.parent.glob("*/run.json")])
    of_a_hub = f"dslm hub import FOLDER {imported}, and then {key}={imported}"
    fix = f"did you mean {near!r}?" if near else f"download a hub's model, and write {of_a_hub}"
    rule = "is not the folder of a run: it does not exist, and nothing is downloaded"
    return Problem(key, run, rule, fix)


def _above(path: Path, parent: Path) -> Path:
    """A folder above a path, as it was typed."""
    return next(one for one in (*path.parents, parent) if one.absolute() == parent)


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
        if value != before and key not in free
    ]
    if rule := shards.unlike(source.tokenizer_sha256, source.begin, source.run):
        fix = f"shard the text with --tokenizer {source.run}/tokenizer"
        problems.append(Problem("data.train", str(shards.folder), rule, fix))
    return problems
