"""Training under ZeRO at any stage: every rank is a replica of the whole model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from dslm.model.block import Block
from dslm.model.expert_parallel import experts_among
from dslm.model.stages import Stage
from dslm.model.tensor_parallel import cut_among
from dslm.model.transformer import Transformer
from dslm.objectives.batch import Batch
from dslm.parallel.engine import Engine
from dslm.parallel.expert_groups import axis_of, mark_experts
from dslm.parallel.groups import Groups, ModelParallelUnit
from dslm.parallel.loss import LossFunction
from dslm.parallel.optimizers import parameter_groups
from dslm.parallel.plan import Plan


class ZeroEngine(Engine):
    """DeepSpeed's engine over a plain `Transformer`."""

    def __init__(
        self, engine: Any, plan: Plan, groups: Groups, loss_function: LossFunction
    ) -> None:
        super().__init__(engine, plan, groups, loss_function)
        # A single rank without ZeRO has nobody to average gradients with, and nowhere to cut them.
        engine.enable_backward_allreduce = plan.zero_stage > 0 or plan.copies > 1

    @classmethod
    def build(
        cls,
        stages: Sequence[Stage],
        plan: Plan,
        config: Mapping[str, Any],
        loss_function: LossFunction,
    ) -> ZeroEngine:
        """Build the model (at stage 3 already in pieces) and hand it to DeepSpeed."""
        import deepspeed

        groups = Groups.make(plan.grid)
        unit = ModelParallelUnit(groups) if plan.tensor_parallel > 1 else None
        pieces = nullcontext() if plan.zero_stage < 3 else in_pieces(config, groups, unit)
        with pieces, cut_among(groups.tensor_axis), experts_among(axis_of(plan)):
            model = Transformer(stages, drawn=False)
        if plan.zero_stage == 3:
            gather_by_block(model)
        mark_experts(model, plan)
        engine, *_ = deepspeed.initialize(
            model=model,
            model_parameters=parameter_groups(weights_of(model), stages, config),
            config=dict(config),
            mpu=unit,
            dist_init_required=False,
        )
        return cls(engine, plan, groups, loss_function)

    def train_batch(self, micro_batches: Iterator[Batch]) -> Tensor:
        """See `Engine.train_batch`."""
        losses = []
        if not self.engine.module.training:  # the engine itself never says
            self.engine.train()
        self.begin_step()
        for inputs, labels in self.counted(micro_batches, self.plan.accumulation):
            loss = self.loss_function(self.engine(inputs), labels)
            self.engine.backward(loss)
            self.engine.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean()

    @torch.no_grad()
    def evaluate_counted(self, micro_batches: Iterator[Batch], count: int) -> Tensor:
        """See `Engine.evaluate_counted`."""
        self.engine.eval()
        losses = [
            self.loss_function(self.engine(inputs), labels)
            for inputs, labels in itertools.islice(micro_batches, count)
        ]
        return torch.stack(losses).mean()

    def parameters(self) -> dict[str, nn.Parameter]:
        """See `Engine.parameters`."""
        return weights_of(self.engine.module)

    def owns(self, index: int) -> bool:
        """There is one stage."""
        return True

    @property
    def computes_loss(self) -> bool:
        """Every rank does."""
        return True


def weights_of(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of a `Transformer` by their layout-free names."""
    named = model.named_parameters()
    return {name.removeprefix("layers."): parameter for name, parameter in named}


def gather_by_block(model: nn.Module) -> None:
    """Have ZeRO-3 gather the weights of a block together, around it and not within.

    DeepSpeed knows that their gradients are there by the gradient of what enters the block.
    """
    from deepspeed.utils import set_z3_leaf_modules

    for block in set_z3_leaf_modules(model, [Block], raise_if_not_found=False):
        if any(weight.requires_grad for weight in block.parameters()):
            block.register_forward_pre_hook(_with_gradient)


def _with_gradient(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The arguments of a block, of which the first has a gradient where anything has one."""
    hidden, *others = given
    if torch.is_grad_enabled() and not hidden.requires_grad:
        hidden = hidden.detach().requires_grad_()
    return (hidden, *others)


def in_pieces(
    config: Mapping[str, Any], groups: Groups, unit: ModelParallelUnit | None
) -> AbstractContextManager[Any]:
    """DeepSpeed's context in which a rank keeps its piece of each weight, and no more.

    DeepSpeed has the first rank broadcast every weight before it is cut; here all ranks have built
    the same.

    Args:
        config: DeepSpeed's JSON.
        groups: among whose copies the weights are divided.
        unit: the groups as DeepSpeed takes them, where some ranks are no copies of each other.
    """
    import deepspeed

    class Pieces(deepspeed.zero.Init):  # type: ignore[misc]
        def _zero_init_param(self, weight: Any) -> None:
            self._convert_to_deepspeed_param(weight)
            weight.partition()

    group = None if unit is None else groups.copies
    return Pieces(config_dict_or_path=dict(config), data_parallel_group=group, mpu=unit)
