"""What contradicts itself within the settings of a run, told before anything else is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass

from dslm.errors import Problem
from dslm.model.float8 import check_float8
from dslm.model.tuning import check_tuning
from dslm.quantization.config import check_quantization
from dslm.run.config import DataConfig, RunConfig
from dslm.run.schedule import check_schedule
from dslm.run.sequence_parallel import check_sequence_parallel
from dslm.run.tensor_parallel import check_tensor_parallel
from dslm.sampling.augment import AugmentationConfig
from dslm.tasks.registry import check_objective


def check_run(config: RunConfig) -> list[Problem]:
    """What contradicts itself within the settings."""
    problems = _check_data(config) + check_objective(config.objective, config.model)
    problems += check_schedule(config.schedule, config.steps)
    problems += check_quantization(config.quantization, config.model.map_inputs)
    problems += [*_check_float8(config), *check_tuning(config.tuning, config.model)]
    if config.lora.rank and (scheme := config.quantization.scheme) != "none":
        rule = "rounds matrices, of which adapters would be added to the rounded ones alone"
        problems.append(Problem("quantization.scheme", scheme, rule, "leave out one of the two"))
    if (first := config.quantization.start_step) >= config.steps:
        rule = f"leaves none of steps = {config.steps} to be rounded"
        problems.append(Problem("quantization.start_step", first, rule, "use a smaller one"))
    for key in ("target_loss", "patience", "best_by"):
        if getattr(config, key) is not None and config.data.validation is None:
            rule = "needs a validation set"
            problems.append(Problem(key, getattr(config, key), rule, "set data.validation=FOLDER"))
    if (interval := config.layer_norms_interval) and interval % config.log_interval:
        rule = f"is no multiple of log_interval = {config.log_interval}, whose lines hold the norms"
        fix = f"use {-(-interval // config.log_interval) * config.log_interval}"
        problems.append(Problem("layer_norms_interval", interval, rule, fix))
    if config.label_smoothing and not config.objective.selected.smooths(config.objective.settings):
        rule = f"needs classes, which objective.kind = {config.objective.kind} does not learn so"
        fix = "leave it out"
        problems.append(Problem("label_smoothing", config.label_smoothing, rule, fix))
    if config.word_vectors is not None and config.init_from is not None:
        rule = f"init_from = {config.init_from!r} gives the embedding already"
        problems.append(Problem("word_vectors", config.word_vectors, rule, "use one of the two"))
    if config.pipeline_stages > config.model.blocks:
        decoder_blocks = " and those behind the code" if config.model.decoder_blocks else ""
        if encoder := config.model.encoder_layers:
            decoder_blocks = f" and model.encoder_layers = {encoder}"
        rule = f"is more than model.layers = {config.model.layers}{decoder_blocks}"
        fix = f"use at most {config.model.blocks}"
        problems.append(Problem("pipeline_stages", config.pipeline_stages, rule, fix))
    rows = config.sequence_parallel, config.model, config.objective
    problems += [*check_tensor_parallel(config), *check_sequence_parallel(*rows)]
    return [*problems, *_check_compile(config)]


def _check_compile(config: RunConfig) -> Iterator[Problem]:
    """The blocks of which no graph can be made."""
    if not config.compile:
        return
    if config.model.recurrent:
        rule = "compiles blocks of attention, and these are recurrent"
        yield Problem("compile", True, rule, "leave it out")
    for key in ("tensor_parallel", "sequence_parallel"):
        if (value := getattr(config, key)) > 1:
            rule = f"compiles blocks without {key} = {value}"
            yield Problem("compile", True, rule, "leave out one of the two")


def _check_float8(config: RunConfig) -> list[Problem]:
    used = config.precision == "fp8"
    problems = list(check_float8(config.float8, config.model, used))
    if used and (scheme := config.quantization.scheme) != "none":
        rule = "rounds the linear maps that precision=fp8 computes in 8-bit floats"
        problems.append(Problem("quantization.scheme", scheme, rule, "use one of the two"))
    return problems


def _check_data(config: RunConfig) -> list[Problem]:
    problems, data, defaults = [], config.data, DataConfig(train="")
    if data.temperature is not None and isinstance(data.train, dict):
        rule = "makes weights, and data.train gives some already"
        fix = 'list the folders alone: data.train=\'["shards/a", "shards/b"]\''
        problems.append(Problem("data.temperature", data.temperature, rule, fix))
    if data.packing != "none" and data.augmentation != AugmentationConfig():
        rule = "keeps documents in one piece, which data.augmentation does not"
        problems.append(Problem("data.packing", data.packing, rule, "use one of the two"))
    if data.document_borders and config.model.recurrent:
        rule = f"is not possible with model.block = {config.model.block!r}, whose memory goes on"
        problems.append(Problem("data.document_borders", True, rule, "leave it out"))
    objective = config.objective
    for key, (rule, fix) in objective.selected.refuses(objective.settings).items():
        if (value := getattr(data, key)) != getattr(defaults, key):
            shown = None if is_dataclass(value) else value
            problems.append(Problem(f"data.{key}", shown, rule, fix))
    return problems
