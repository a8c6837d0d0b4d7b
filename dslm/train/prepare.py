"""From the command line to a checked job: every mistake found, all told at once, before torch.

The path: preset → ``--config`` → ``key=value`` → settings; DeepSpeed's JSON; the plan for the ranks
there are; the shard sets; the run's folder; the machine. Each step that can be taken is taken, so
that one mistake hides no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dslm.config.overrides import merge, parse_words, read_json
from dslm.config.parse import parse
from dslm.errors import ConfigError, Problem, UserError, suggest
from dslm.model.config import check_model, parameter_count
from dslm.parallel import ds_check
from dslm.parallel.optimizers import moments
from dslm.parallel.plan import Plan, make_plan
from dslm.parallel.setup import check_builds, check_disk
from dslm.parallel.world import World, extensions_folder
from dslm.train.config import RunConfig, check_run
from dslm.train.data import Sources, check_sources_fit, open_sources
from dslm.train.presets import PRESETS
from dslm.train.run_folder import RunFolder, check_folder


@dataclass(frozen=True)
class Job:
    """A training run that has passed every check."""

    config: RunConfig
    deepspeed: dict[str, Any]
    plan: Plan
    sources: Sources
    folder: RunFolder
    ops: tuple[str, ...]
    """What DeepSpeed will compile first."""

    @property
    def settings(self) -> dict[str, Any]:
        """The resolved settings, nested, as ``run.json`` holds them."""
        return asdict(self.config)

    @property
    def checkpoint_bytes(self) -> int:
        """Size of one checkpoint."""
        kept = 1 + len(moments(self.deepspeed["optimizer"], is_matrix=True))
        return 4 * kept * parameter_count(self.config.model)


def prepare(
    words: Sequence[str], config_file: str | None, deepspeed_file: str | None, world: World
) -> Job:
    """Check everything that can be checked without torch.

    Args:
        words: a preset's name, if any, and ``key=value`` words.
        config_file: a JSON file of settings, or a ``run.json``.
        deepspeed_file: DeepSpeed's JSON.
        world: the ranks; only the first looks at the run's folder, which it alone writes.

    Raises:
        UserError: with every problem found.
    """
    found = _Findings()
    config = found.take(lambda: settings(words, config_file))
    deepspeed = found.take(lambda: _load_deepspeed(deepspeed_file))
    sources = found.take(lambda: open_sources(config.data)) if config else None
    stages = config.pipeline_stages if config else 1
    plan = None
    if deepspeed is not None:
        wrong = ds_check.check(deepspeed, pipeline_stages=stages, cpu=world.cpu)
        found.problems += wrong
        if config and not wrong:
            plan, wrong = make_plan(deepspeed, world.size, stages, config.model.sequence)
            found.problems += wrong
    if config:
        found.problems += [*check_run(config), *check_model(config.model)]
    if config and sources:
        found.problems += check_sources_fit(sources, config.model.sequence, config.model.vocabulary)
    if found.problems or not (config and deepspeed and sources and plan):
        raise UserError(*found.problems)
    job = _job(config, deepspeed, plan, sources, world)
    wrong = check_builds(job.ops, extensions_folder())
    if world.first:
        wrong += check_folder(job.folder, job.settings, sources.record(), config.fresh)
        wrong += check_disk(job.folder.path.absolute(), job.checkpoint_bytes, config.keep)
    if wrong:
        raise UserError(*wrong)
    return job


def settings(words: Sequence[str], config_file: str | None) -> RunConfig:
    """The settings of a run from its preset, its file and its words.

    Raises:
        ConfigError: with every problem found.
    """
    names = [word for word in words if "=" not in word]
    values = parse_words(word for word in words if "=" in word)
    base: dict[str, Any] = {}
    if config_file is not None:
        file = read_json(Path(config_file))
        base = file["config"] if isinstance(file.get("config"), dict) else file
    if len(names) > 1 or (not names and "preset" not in base):
        rule = f"one preset is needed: {', '.join(PRESETS)}"
        raise ConfigError(Problem("preset", " ".join(names) or None, rule))
    if names:
        if names[0] not in PRESETS:
            fix = suggest(names[0], PRESETS, f"choose from {', '.join(PRESETS)}")
            raise ConfigError(Problem("preset", names[0], "there is no such preset", fix))
        base = merge({**PRESETS[names[0]](), "preset": names[0]}, base)
    return parse(RunConfig, merge(base, values))


def _load_deepspeed(path: str | None) -> dict[str, Any]:
    if path is None:
        rule = "is required: DeepSpeed's JSON holds optimizer, batch, precision and ZeRO stage"
        fix = "for a start use ds_configs/zero1_fp32.json"
        raise ConfigError(Problem("--deepspeed_config", None, rule, fix))
    return ds_check.load(path)


def _job(
    config: RunConfig, deepspeed: dict[str, Any], plan: Plan, sources: Sources, world: World
) -> Job:
    """Fill in what follows from the data."""
    vocabulary = config.model.vocabulary or sources.train[0].vocabulary
    config = replace(config, model=replace(config.model, vocabulary=vocabulary))
    ops = tuple(ds_check.compiled_ops(deepspeed, cpu=world.cpu))
    return Job(config, deepspeed, plan, sources, RunFolder(Path(config.run)), ops)


class _Findings:
    """Collects the problems of steps that raise."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def take(self, step: Any) -> Any:
        """The result of a step, or `None` when it raised."""
        try:
            return step()
        except UserError as error:
            self.problems += error.problems
            return None
