"""The model that a job trains, laid out over the ranks, its weights still to be filled."""

from __future__ import annotations

from dslm.model.dropout import DROPOUT_KEYS
from dslm.model.stages import Stage, stages
from dslm.parallel.engine import Engine
from dslm.parallel.layout import create
from dslm.train.prepare import Job


def laid_out(job: Job) -> tuple[list[Stage], Engine]:
    """The layers of a job's model, and its engine; every rank must call it."""
    config = job.config
    extras = (*job.objective.extras, *([DROPOUT_KEYS] if config.model.dropout else []))
    layers = stages(config.model, config.seed, extras, config.tuning)
    engine = create(
        layers,
        job.plan,
        job.deepspeed,
        job.objective,
        config.quantization,
        job.float8,
        compiled=config.compile,
    )
    return layers, engine
