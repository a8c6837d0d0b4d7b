"""Training under ZeRO at any stage: every rank is a replica of the whole model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from dslm.model.stages import Stage
from dslm.model.transformer import Transformer
from dslm.objectives.batch import Batch
from dslm.parallel.engine import Engine
from dslm.parallel.loss import LossFunction
from dslm.parallel.optimizers import parameter_groups
from dslm.parallel.plan import Plan


class ZeroEngine(Engine):
    """DeepSpeed's engine over a plain `Transformer`."""

    def __init__(self, engine: Any, plan: Plan, loss_function: LossFunction) -> None:
        super().__init__(engine, plan, loss_function)
        # A single rank without ZeRO has nobody to average gradients with, and nowhere to cut them.
        engine.enable_backward_allreduce = plan.zero_stage > 0 or plan.replicas > 1

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

        whole = plan.zero_stage < 3
        with nullcontext() if whole else deepspeed.zero.Init(config_dict_or_path=dict(config)):
            model = Transformer(stages)
        groups = parameter_groups(model, config)
        engine, *_ = deepspeed.initialize(
            model=model, model_parameters=groups, config=dict(config), dist_init_required=False
        )
        return cls(engine, plan, loss_function)

    def train_batch(self, micro_batches: Iterator[Batch]) -> Tensor:
        """See `Engine.train_batch`."""
        losses = []
        if not self.engine.module.training:  # the engine itself never says
            self.engine.train()
        for inputs, labels in self.counted(micro_batches, self.plan.accumulation):
            loss = self.loss_function(self.engine(inputs), labels)
            self.engine.backward(loss)
            self.engine.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean()

    @torch.no_grad()
    def evaluate(self, micro_batches: Sequence[Batch]) -> Tensor:
        """See `Engine.evaluate`."""
        self.engine.eval()
        losses = [
            self.loss_function(self.engine(inputs), labels)
            for inputs, labels in self.counted(iter(micro_batches), len(micro_batches))
        ]
        return torch.stack(losses).mean()

    def parameters(self) -> dict[str, nn.Parameter]:
        """See `Engine.parameters`."""
        named = self.engine.module.named_parameters()
        return {name.removeprefix("layers."): parameter for name, parameter in named}

    def writes(self, index: int) -> bool:
        """The ranks take turns."""
        return index % self.plan.replicas == self.replica

    @property
    def computes_loss(self) -> bool:
        """Every rank does."""
        return True

    @property
    def replica(self) -> int:
        """Every rank is a replica."""
        return torch.distributed.get_rank()
