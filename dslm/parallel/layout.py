"""Chooses the engine of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dslm.model.float8 import Float8Config
from dslm.model.float8_linear import use_float8
from dslm.model.quantize import quantize
from dslm.model.stages import Stage
from dslm.objectives.base import Objective
from dslm.parallel.deepspeed_json.optimizer import named
from dslm.parallel.engine import Engine
from dslm.parallel.loss import LossFunction
from dslm.parallel.muon import orthogonalize_apart
from dslm.parallel.plan import Plan
from dslm.parallel.routing import Routing
from dslm.quantization.config import QuantizationConfig

UNCLOCKED = {"timers": {"throughput": {"enabled": False}}}
"""DeepSpeed's clock waits for the device twice a micro-batch, so it is asked for or off."""


def create(
    stages: Sequence[Stage],
    plan: Plan,
    config: Mapping[str, Any],
    objective: Objective,
    quantization: QuantizationConfig | None = None,
    float8: Float8Config | None = None,
    *,
    compiled: bool = False,
) -> Engine:
    """Lay a model out over the ranks, its weights still to be filled (`TrainingState.fill`).

    Args:
        stages: the model.
        plan: the layout.
        config: DeepSpeed's JSON.
        objective: defines the loss.
        quantization: which layers round; none without it.
        float8: which layers compute in 8-bit floats; none without it.
        compiled: whether blocks are compiled.
    """
    from dslm.parallel.pipeline import PipelineEngine
    from dslm.parallel.zero import ZeroEngine

    kind = PipelineEngine if plan.pipeline_stages > 1 else ZeroEngine
    given = {**UNCLOCKED, **plan.deepspeed(config)}
    engine = kind.build(stages, plan, given, LossFunction(objective))
    if named(config["optimizer"]["type"]) == "Muon":
        orthogonalize_apart(engine.engine.module)
    if quantization is not None:
        engine.quantizer = quantize(engine.engine.module, quantization)
    if float8 is not None:
        use_float8(engine.engine.module, float8)
    if any(stage.config.experts for stage in stages):
        weights = engine.parameters().items()
        places = {id(weight): int(name.partition(".")[0]) for name, weight in weights}
        engine.routing = Routing(engine.engine.module, stages, places, engine.engine.device)
    if compiled:
        from dslm.parallel.compilation import compile_blocks

        compile_blocks(engine.engine.module, objective.varying, engine.quantizer)
    return engine
