"""What contradicts itself in the settings of a run and DeepSpeed's JSON together."""

from __future__ import annotations

from typing import Any

from dslm.errors import Problem
from dslm.model.check import check_model
from dslm.parallel.activations import check_kept
from dslm.parallel.deepspeed_json.optimizer import named
from dslm.parallel.muon import check_matrices
from dslm.parallel.optimizers import check_rates
from dslm.run.check import check_run
from dslm.run.config import RunConfig
from dslm.run.expert_parallel import check_experts
from dslm.train.boards import check_boards


def check_settings(config: RunConfig, deepspeed: dict[str, Any] | None) -> list[Problem]:
    """What contradicts itself in settings that name no data.

    Args:
        config: the settings.
        deepspeed: DeepSpeed's JSON, if it is right.
    """
    problems = [*check_run(config), *check_model(config.model), *check_boards(config)]
    problems += check_experts(config, deepspeed)
    if deepspeed:
        problems += check_matrices(named(deepspeed["optimizer"]["type"]), config.model)
        problems += [*check_rates(deepspeed, config.tuning), *check_kept(config.model, deepspeed)]
    return problems
