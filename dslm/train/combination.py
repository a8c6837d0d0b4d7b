"""Settings, DeepSpeed's JSON and a number of ranks, checked together for another machine.

What `prepare` checks before a run, less what is of this machine: folder, disk, compiler. The data
may be left out; then the vocabulary is that of the settings, or `ASSUMED`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dslm.config.parse import MISSING
from dslm.environment import World
from dslm.errors import Problems, UserError
from dslm.objectives.base import Context, Objective
from dslm.parallel.activations import Forward
from dslm.parallel.partition import check_learning
from dslm.parallel.plan import Plan
from dslm.parallel.setup import check_gpu_float8
from dslm.run.config import RunConfig
from dslm.run.init_from import open_source_run
from dslm.tasks.registry import make_objective
from dslm.tokenizers.vocabulary import Vocabulary
from dslm.train.check import check_settings
from dslm.train.data import objective_of, open_sources
from dslm.train.file_kinds import read_settings
from dslm.train.plan import load_deepspeed, plan_of
from dslm.train.prepare import fitted, forward_pass
from dslm.train.word_vectors.embedding import check_word_vectors
from dslm.train.words import sorted_words

ASSUMED = 50_257
"""Token ids where neither data nor `model.vocabulary` are given: GPT-2's."""
LEFT_OUT = {"data.train": "data.train=shards", "run": "run=run"}
"""The settings that only a run needs, and what stands for them."""


@dataclass(frozen=True)
class Combination:
    """What fits together."""

    config: RunConfig
    """The settings, the vocabulary filled in."""
    deepspeed: dict[str, Any]
    plan: Plan
    forward: Forward
    assumed: bool
    """Whether the vocabulary is `ASSUMED`."""


def combine(
    words: Sequence[str],
    config_file: str | None,
    deepspeed_file: str | None,
    world: World,
    gpu: str | None = None,
) -> Combination:
    """Check everything that does not need the machine.

    Args:
        words: a preset's name, if any, and ``key=value`` words.
        config_file: a JSON file of settings, or a ``run.json``.
        deepspeed_file: DeepSpeed's JSON.
        world: the ranks that there would be.
        gpu: the name of theirs, if it is known.

    Raises:
        UserError: with every problem found.
    """
    found = Problems()
    own, overrides = sorted_words(words, found)
    config, without = _settings(own, config_file, found)
    deepspeed = found.collect(load_deepspeed, deepspeed_file)
    plan = None
    if deepspeed is not None:
        deepspeed, plan = plan_of(deepspeed, overrides, config, world, found, deepspeed_file)
    assumed, objective, source = False, None, None
    if config:
        found.problems += check_settings(config, deepspeed if plan else None)
        if config.precision == "fp8" and gpu is not None:
            found.problems += check_gpu_float8(gpu)
        if config.word_vectors:
            found.problems += check_word_vectors(config.word_vectors, config.model)
        source = found.collect(open_source_run, config.init_from) if config.init_from else None
    if config and without:
        assumed = config.model.vocabulary is None
        config = replace(
            config, model=replace(config.model, vocabulary=config.model.vocabulary or ASSUMED)
        )
        objective = _objective_without_data(config)
        found.problems += check_learning(config.model, config.pipeline_stages, config.tuning)
    elif config:
        sources = found.collect(open_sources, config.data)
        if sources:
            objective = found.collect(objective_of, config, sources.train[0].tokenizer)
        if sources and objective:
            config = fitted(config, sources, objective, source, found)
    if found.problems or not (config and deepspeed and plan):
        raise UserError(*found.problems)
    return Combination(config, deepspeed, plan, forward_pass(config, objective), assumed)


def _settings(
    words: Sequence[str], config_file: str | None, found: Problems
) -> tuple[RunConfig | None, bool]:
    """The settings as far as they can be mended, and whether they name no data."""
    first = Problems()
    config = read_settings(words, config_file, first)
    missing = [p.where for p in first.problems if p.where in LEFT_OUT and p.rule == MISSING]
    if not missing:
        found.problems += first.problems
        return config, False
    added = [LEFT_OUT[key] for key in missing]
    return read_settings([*words, *added], config_file, found), "data.train" in missing


def _objective_without_data(config: RunConfig) -> Objective | None:
    """The objective over a vocabulary of which nothing but the size is known, if it can be made."""
    model, data = config.model, config.data
    vocabulary = Vocabulary(model.size, {}, Path())
    borders, packed, two_stacks = (
        data.document_borders,
        data.packing != "none",
        model.encoder_layers > 0,
    )
    context = Context(
        model.sequence, config.seed, borders, vocabulary, packed, two_stacks=two_stacks
    )
    return Problems().collect(make_objective, config.objective, context)
