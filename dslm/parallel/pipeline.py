"""Training with the layers spread over pipeline stages, and replicas of that pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dslm.model.stages import Stage, Value, with_mask, without_mask
from dslm.model.tensor_parallel import cut_among
from dslm.objectives.batch import Batch
from dslm.parallel.engine import Engine
from dslm.parallel.groups import Groups
from dslm.parallel.loss import LossFunction
from dslm.parallel.optimizers import as_many, parameter_groups
from dslm.parallel.plan import Plan


class PipelineEngine(Engine):
    """DeepSpeed's pipeline engine (1F1B) over the same stages."""

    def __init__(
        self,
        engine: Any,
        plan: Plan,
        groups: Groups,
        loss_function: LossFunction,
        owners: Mapping[str, int],
    ) -> None:
        super().__init__(engine, plan, groups, loss_function)
        self.owners = owners

    @classmethod
    def build(
        cls,
        stages: Sequence[Stage],
        plan: Plan,
        config: Mapping[str, Any],
        loss_function: LossFunction,
    ) -> PipelineEngine:
        """Map stages to DeepSpeed's layer recipes and build those of this rank."""
        import deepspeed
        from deepspeed.pipe import PipelineModule
        from deepspeed.runtime.pipe.topology import PipeModelDataParallelTopology

        groups = Groups.make(plan.grid)
        topology = PipeModelDataParallelTopology(
            num_pp=plan.pipeline_stages, num_dp=plan.copies, num_mp=plan.tensor_parallel
        )
        with cut_among(groups.tensor_axis):
            module = PipelineModule(
                [layer_recipe(stage) for stage in stages],
                topology=topology,
                loss_fn=loss_function,
                partition_method="type:Block",
            )
        own = stages[module.parts[module.stage_id] : module.parts[module.stage_id + 1]]
        module.register_forward_pre_hook(
            lambda _, given: (with_mask(given[0], own, module.training),)
        )
        module.register_forward_hook(lambda *given: without_mask(given[-1]))
        owners: dict[str, int] = {}
        for stage in stages:
            if stage.tied:
                owners.setdefault(stage.tied, stage.index)
        weights = parameter_groups(weights_of(module, owners), stages, config)
        weights = as_many(weights, most(len(weights)))
        # Else DeepSpeed cuts what travels among tensor ranks, but for one tensor with a gradient.
        whole = {"pipe_partitioned": False, "grad_partitioned": False}
        config = {**config, "pipeline": {**config.get("pipeline", {}), **whole}}
        engine, *_ = deepspeed.initialize(
            model=module, model_parameters=weights, config=config, dist_init_required=False
        )
        for weight in module.parameters():
            if not weight.requires_grad:
                weight._hp_grad = None  # which DeepSpeed asks every tied weight for
        return cls(engine, plan, groups, loss_function, owners)

    def train_batch(self, micro_batches: Iterator[Batch]) -> Tensor:
        """See `Engine.train_batch`; DeepSpeed has the loss averaged over the replicas already."""
        self.begin_step()
        counted = self.counted(micro_batches, self.plan.accumulation)
        loss: Tensor = self.engine.train_batch(counted)
        return loss

    def evaluate_counted(self, micro_batches: Iterator[Batch], count: int) -> Tensor:
        """See `Engine.evaluate_counted`; DeepSpeed averages over the replicas already."""
        loss: Tensor = self.engine.eval_batch(micro_batches, num_micro_batches=count)
        return loss

    def parameters(self) -> dict[str, nn.Parameter]:
        """See `Engine.parameters`; a tied weight goes by its first index, on both stages."""
        return weights_of(self.engine.module, self.owners)

    def owns(self, index: int) -> bool:
        """Of two stages with a tied weight, the first saves it."""
        return self.engine.is_first_stage() or index not in self.owners.values()

    @property
    def computes_loss(self) -> bool:
        """The last stage does."""
        return bool(self.engine.is_last_stage())

    @property
    def reads(self) -> bool:
        """The first stage reads inputs, the last one labels."""
        return bool(self.engine.is_first_stage() or self.engine.is_last_stage())


def weights_of(module: nn.Module, owners: Mapping[str, int]) -> dict[str, nn.Parameter]:
    """The weights of a pipeline stage by their layout-free names.

    Args:
        module: DeepSpeed's `PipelineModule`.
        owners: the first index of each tied module.
    """
    found = {}
    for name, parameter in module.named_parameters():
        index, rest = name.split(".", 1)
        if index == "tied_modules":
            tied, rest = rest.split(".", 1)
            index = str(owners[tied])
        found[f"{index}.{rest.removeprefix('layer.')}"] = parameter
    return found


def most(count: int) -> int:
    """The largest of a number on all ranks."""
    from deepspeed.accelerator import get_accelerator

    largest = torch.tensor(count, device=get_accelerator().current_device_name())
    torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
    return int(largest)


def layer_recipe(stage: Stage) -> Any:
    """A stage as DeepSpeed's ``LayerSpec``, built by `Stage.build`."""
    from deepspeed.pipe import LayerSpec, TiedLayerSpec

    if stage.tied:
        spec = TiedLayerSpec(
            stage.tied,
            stage.module,
            forward_fn=stage.apply,
            tied_weight_attr=["embedding.weight"],
        )
        spec.build = lambda log=False: stage.build(drawn=False)
    else:
        spec = LayerSpec(stage.module)
        spec.build = lambda log=False: Layer(stage)
    return spec


class Layer(nn.Module):
    """A stage as DeepSpeed calls it: with one value, which may be several tensors."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.layer = stage.build(drawn=False)

    def forward(self, value: Value) -> Value:
        """See `Stage.apply`."""
        return self.stage.apply(self.layer, value)
