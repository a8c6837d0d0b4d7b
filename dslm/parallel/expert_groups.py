"""Experts under ZeRO-1 and 2: which replicas share them, and what DeepSpeed must know of it.

The replicas of a run are divided into groups of neighbours, each of which has every expert once.
Replicas that have the same experts, one of each group, divide their optimizer among themselves;
everything else is divided among all. DeepSpeed does so for a model that has a layer of its own
kind, and weights that name their group.
"""

from __future__ import annotations

import torch
from torch import nn

from dslm.model.expert_parallel import ALONE, ExpertAxis
from dslm.model.experts import ExpertLinear
from dslm.parallel.plan import Plan


def axis_of(plan: Plan) -> ExpertAxis:
    """The replicas that share the experts with this one; every rank must call it."""
    if plan.expert_parallel == 1:
        return ALONE
    from deepspeed.utils import groups

    groups._create_expert_and_data_parallel(plan.expert_parallel)
    rank = torch.distributed.get_rank() % plan.expert_parallel
    group = groups._get_expert_parallel_group(name_of(plan))
    return ExpertAxis(plan.expert_parallel, rank, group)


def name_of(plan: Plan) -> str:
    """What DeepSpeed calls the groups of this size."""
    return f"ep_size_{plan.expert_parallel}"


def mark_experts(model: nn.Module, plan: Plan) -> None:
    """Have DeepSpeed treat the experts of a model as those of its own layers."""
    if plan.expert_parallel == 1:
        return
    from deepspeed.moe.layer import MoE

    class Mark(MoE):  # type: ignore[misc]
        """Computes nothing: DeepSpeed looks for a module of this kind."""

        def __init__(self, experts: int) -> None:
            nn.Module.__init__(self)
            self.num_experts = experts

        def set_deepspeed_parallelism(self, *_: object) -> None:
            """The groups are there already."""

    for layer in [*model.modules()]:
        if isinstance(layer, ExpertLinear):
            layer.weight.allreduce = False  # type: ignore[attr-defined]
            layer.weight.group_name = name_of(plan)  # type: ignore[attr-defined]
            model.mark = Mark(len(layer.weight) * plan.expert_parallel)
