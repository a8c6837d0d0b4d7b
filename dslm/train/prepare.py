"""From the command line to a checked job: every mistake found, all reported at once, before torch.

The path: the settings; DeepSpeed's JSON; the plan for the ranks there are; the shard sets; the
run's folder; the machine. Each step that can be taken is taken, so that one mistake hides no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dslm.environment import World, cpp_compiler, extensions_folder, gpu_architectures
from dslm.errors import Problem, Problems, UserError
from dslm.model.float8 import Float8Config
from dslm.objectives.base import Objective
from dslm.parallel.activations import Forward
from dslm.parallel.deepspeed_json import check as ds_check
from dslm.parallel.deepspeed_json.optimizer import all_moments, moments
from dslm.parallel.partition import check_learning
from dslm.parallel.plan import Plan
from dslm.parallel.setup import check_builds, check_disk, check_float8, check_graphs, check_monitors
from dslm.parallel.world import device
from dslm.run.best import best
from dslm.run.checkpoint import (
    checkpoints,
    kept,
    newest_good,
    read_state,
    total_bytes,
    verify_sizes,
)
from dslm.run.checkpoint_tensors import stored_moments
from dslm.run.config import RunConfig
from dslm.run.folder import RunFolder, check_folder
from dslm.run.init_from import SourceRun, check_init_from, open_source_run
from dslm.sampling.order import Phase
from dslm.sampling.stream import Stream
from dslm.train.adapted import check_adapted
from dslm.train.check import check_settings
from dslm.train.data import (
    Sources,
    check_sources_fit,
    objective_of,
    open_sources,
    open_stream,
)
from dslm.train.file_kinds import read_settings
from dslm.train.mixture import SHIFTED, first_phase, phases_from
from dslm.train.plan import load_deepspeed, plan_of
from dslm.train.precision import precision_of
from dslm.train.validated import check_validation, with_validation
from dslm.train.word_vectors.embedding import check_word_vectors
from dslm.train.words import sorted_words


@dataclass(frozen=True)
class Job:
    """A training run that has passed every check."""

    config: RunConfig
    deepspeed: dict[str, Any]
    plan: Plan
    sources: Sources
    objective: Objective
    folder: RunFolder
    ops: tuple[str, ...]
    """What DeepSpeed will compile first."""
    init_from: SourceRun | None = None
    """The run whose weights this one begins with."""
    resumed: tuple[Phase, ...] | None = None
    """The shares of the sources until now and from now on, in a run that goes on."""
    shifted: bool = True
    """Whether windows begin elsewhere in each epoch; as the run began."""

    @property
    def settings(self) -> dict[str, Any]:
        """The resolved settings, nested, as ``run.json`` holds them."""
        return asdict(self.config)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The shares of the sources, see `dslm.train.mixture`."""
        begun = first_phase(self.sources.weights, len(self.sources.train))
        return begun if self.resumed is None else self.resumed

    @cached_property
    def stream(self) -> Stream:
        """The rows of training; made when first needed, after the shards have been verified."""
        return open_stream(self.sources, self.config, self.objective, self.phases, self.shifted)

    def resuming(self, step: int) -> Job:
        """The same job, going on from the checkpoint of a step."""
        state = read_state(self.folder.checkpoint(step))
        phases = phases_from(state, self.sources.weights, len(self.sources.train))
        return replace(self, resumed=phases, shifted=state.get(SHIFTED, False))

    def restores_moments(self, step: int) -> bool:
        """Whether the checkpoint of a step holds the very moments that this optimizer keeps."""
        if self.config.resume_optimizer == "stored":  # anything else has been refused
            return True
        return stored_moments(self.folder.checkpoint(step)) == all_moments(self.deepspeed)

    @property
    def forward(self) -> Forward:
        """What the forward pass does."""
        return forward_pass(self.config, self.objective)

    @property
    def precision(self) -> str:
        """In what the forward pass computes, see `precision_of`."""
        return precision_of(self.config, self.deepspeed)

    @property
    def float8(self) -> Float8Config | None:
        """Which layers compute in 8-bit floats; `None` = none does."""
        return self.config.float8 if self.config.precision == "fp8" else None

    @property
    def checkpoint_bytes(self) -> int:
        """Size of one checkpoint."""
        model, kept = self.config.model, len(moments(self.deepspeed, is_matrix=True))
        tuning = self.config.tuning
        return 4 * (tuning.total(model) + kept * tuning.learned(model))


def forward_pass(config: RunConfig, objective: Objective | None) -> Forward:
    """What a step of a run does that the model's shape does not say."""
    scored = objective.scored_fraction if objective else 1.0
    return Forward(scored, config.quantization.scheme != "none", tuning=config.tuning)


def prepare(
    words: Sequence[str], config_file: str | None, deepspeed_file: str | None, world: World
) -> Job:
    """Check everything that can be checked without torch.

    Args:
        words: a preset's name, if any, and ``key=value`` words.
        config_file: a JSON file of settings, or a ``run.json``.
        deepspeed_file: DeepSpeed's JSON.
        world: the ranks; only the first checks the run's folder, which it alone writes.

    Raises:
        UserError: with every problem found.
    """
    found = Problems()
    own, overrides = sorted_words(words, found)
    config = read_settings(own, config_file, found)
    deepspeed = found.collect(load_deepspeed, deepspeed_file)
    sources = found.collect(open_sources, config.data) if config else None
    objective = None
    plan = None
    if deepspeed is not None:
        deepspeed, plan = plan_of(deepspeed, overrides, config, world, found, deepspeed_file)
    if config:
        found.problems += check_settings(config, deepspeed if plan else None)
        if world.is_main and plan and deepspeed:
            missing = check_monitors(deepspeed, config.tensorboard)
            found.problems += map(overrides.named, missing)
        if world.is_main and config.word_vectors and not RunFolder(Path(config.run)).newest_step():
            found.problems += check_word_vectors(config.word_vectors, config.model)
    source = None
    if config and config.init_from:
        source = found.collect(open_source_run, config.init_from)
    if config and sources:
        first = sources.train[0].tokenizer
        objective = found.collect(objective_of, config, first, sources.train)
    if config and sources and objective:
        config = fitted(config, sources, objective, source, found)
        if world.is_main:
            folder = RunFolder(Path(config.run))
            found.problems += check_folder(folder, asdict(config), sources.record(), config.fresh)
            newest = found.collect(newest_whole, folder)
            if newest and plan and deepspeed:
                found.problems += check_optimizer(folder, newest, config, deepspeed)
            if not folder.newest_step():
                found.problems += check_adapted(config, source, compares=not found.problems)
    if found.problems or not (config and deepspeed and sources and objective and plan):
        raise UserError(*found.problems)
    job = _job(config, deepspeed, plan, sources, objective, world, source)
    wrong = check_builds(job.ops, extensions_folder(), "" if world.cpu else gpu_architectures())
    wrong += check_float8(device(world)) if job.float8 else []
    wrong += check_graphs(world.cpu, cpp_compiler()) if config.compile else []
    if world.is_main:
        wrong += _check_disk(job)
    if wrong:
        raise UserError(*wrong)
    return job


def _check_disk(job: Job) -> list[Problem]:
    """Whether the checkpoints that are to stay will fit, those that are there already counted."""
    root, config = job.folder.checkpoints, job.config
    with_best = config.keep_best and config.data.validation is not None
    found = dict(checkpoints(root))
    there = kept(found, config.keep, best=best(root) if with_best else None)
    existing = sum(total_bytes(found[step]) for step in there)
    where, stay = job.folder.path.absolute(), config.keep + with_best
    return check_disk(where, job.checkpoint_bytes, stay, existing)


def fitted(
    config: RunConfig,
    sources: Sources,
    objective: Objective,
    source: SourceRun | None,
    found: Problems,
) -> RunConfig:
    """The settings with vocabulary and classes of the data; what does not fit it is collected."""
    config = _with_added_ids(config, sources, objective, source)
    config = with_validation(config, objective, sources)
    found.problems += check_sources_fit(sources, config, objective)
    found.problems += check_validation(config, objective, sources)
    if source:
        found.problems += check_init_from(source, config.model, sources.train[0])
    config = _with_vocabulary(config, sources, objective)
    found.problems += check_learning(config.model, config.pipeline_stages, config.tuning)
    return config


def newest_whole(folder: RunFolder) -> int | None:
    """The step of the newest checkpoint that has all its files, and each as long as it was."""
    return newest_good(folder.checkpoints, verify_sizes)[0]


def check_optimizer(
    folder: RunFolder, step: int, config: RunConfig, deepspeed: dict[str, Any]
) -> list[Problem]:
    """Whether the moments of the checkpoint to resume from are those of the optimizer.

    Args:
        folder: of the run.
        step: of the checkpoint; if its files prove damaged, that is reported later.
        config: the settings.
        deepspeed: DeepSpeed's JSON, checked.
    """
    try:
        before, now = stored_moments(folder.checkpoint(step)), all_moments(deepspeed)
        name = read_state(folder.checkpoint(step)).get("optimizer")
    except (OSError, ValueError, UserError):
        return []
    if before == now or config.resume_optimizer == "fresh":
        return []
    kept, keeps = (", ".join(sorted(names)) or "no moments" for names in (before, now))
    made_by = f" by {name}" if name else ""
    rule = f"keeps {keeps}, but the checkpoint of step {step:,}{made_by} holds {kept}"
    fix = "use the optimizer of before, or begin its moments anew with resume_optimizer=fresh"
    return [Problem("optimizer.type", deepspeed["optimizer"]["type"], rule, fix)]


def _with_added_ids(
    config: RunConfig, sources: Sources, objective: Objective, source: SourceRun | None
) -> RunConfig:
    """The settings, with the source run's vocabulary enlarged by the objective's own ids."""
    size, needed = config.model.vocabulary, sources.train[0].vocabulary + objective.extra_ids
    if source is None or size is None or size != source.model.vocabulary or size >= needed:
        return config
    return replace(config, model=replace(config.model, vocabulary=needed))


def _with_vocabulary(config: RunConfig, sources: Sources, objective: Objective) -> RunConfig:
    """The settings with the vocabulary and the number of classes filled in from the data."""
    first = sources.train[0]
    vocabulary = config.model.vocabulary or first.vocabulary + objective.extra_ids
    classes = objective.class_count(first)
    return replace(config, model=replace(config.model, vocabulary=vocabulary, classes=classes))


def _job(
    config: RunConfig,
    deepspeed: dict[str, Any],
    plan: Plan,
    sources: Sources,
    objective: Objective,
    world: World,
    source: SourceRun | None,
) -> Job:
    ops = tuple(ds_check.compiled_ops(deepspeed, cpu=world.cpu))
    folder = RunFolder(Path(config.run))
    return Job(config, deepspeed, plan, sources, objective, folder, ops, source)
