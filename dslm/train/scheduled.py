"""What a step is trained with that depends on its number."""

from __future__ import annotations

from dslm.parallel.engine import Engine
from dslm.run.config import RunConfig
from dslm.run.schedule import factor


def set_for_step(engine: Engine, config: RunConfig, step: int) -> None:
    """Set the learning rate, and whether weights and inputs are rounded.

    Args:
        engine: that will make the step.
        config: the settings.
        step: how many were made before.
    """
    engine.set_learning_rate(factor(config.schedule, step, config.steps))
    if engine.quantizer is not None:
        engine.quantizer.on = config.quantization.rounds(step)
