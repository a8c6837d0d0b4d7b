"""Training with the layers spread over pipeline stages, and replicas of that pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from dslm.model.stages import Stage
from dslm.objectives.protocol import Batch
from dslm.parallel.engine import Engine, Loss, parameter_groups
from dslm.parallel.plan import Plan


class PipelineEngine(Engine):
    """DeepSpeed's pipeline engine (1F1B) over the same stages."""

    def __init__(self, engine: Any, plan: Plan, owners: Mapping[str, int]) -> None:
        super().__init__(engine, plan)
        self.owners = owners

    @classmethod
    def build(
        cls, stages: Sequence[Stage], plan: Plan, config: Mapping[str, Any], loss: Loss
    ) -> PipelineEngine:
        """Map stages to DeepSpeed's layer recipes and build those of this rank."""
        import deepspeed
        from deepspeed.pipe import PipelineModule

        module = PipelineModule(
            [layer_recipe(stage) for stage in stages],
            num_stages=plan.pipeline_stages,
            loss_fn=loss,
            partition_method="type:Block",
        )
        groups = parameter_groups(module, config)
        engine, *_ = deepspeed.initialize(
            model=module, model_parameters=groups, config=dict(config), dist_init_required=False
        )
        owners: dict[str, int] = {}
        for stage in stages:
            if stage.tied:
                owners.setdefault(stage.tied, stage.place)
        return cls(engine, plan, owners)

    def train_batch(self, micro_batches: Iterator[Batch]) -> Tensor:
        """See `Engine.train_batch`; DeepSpeed has the loss averaged over the replicas already."""
        loss: Tensor = self.engine.train_batch(micro_batches)
        return loss

    def evaluate(self, micro_batches: Sequence[Batch]) -> Tensor:
        """See `Engine.evaluate`; DeepSpeed averages over the replicas already."""
        loss: Tensor = self.engine.eval_batch(
            iter(micro_batches), num_micro_batches=len(micro_batches)
        )
        return loss

    def parameters(self) -> dict[str, nn.Parameter]:
        """See `Engine.parameters`; a tied weight goes by its first place, on both stages."""
        found = {}
        for name, parameter in self.engine.module.named_parameters():
            if name.startswith("tied_modules."):
                _, tied, rest = name.split(".", 2)
                name = f"{self.owners[tied]}.{rest}"
            found[name] = parameter
        return found

    def writes(self, place: int) -> bool:
        """The replicas of a pipeline stage take turns; of two with a tied weight, the first."""
        tied_elsewhere = place in self.owners.values() and not self.engine.is_first_stage()
        return place % self.plan.replicas == self.replica and not tied_elsewhere

    @property
    def replica(self) -> int:
        """The data-parallel coordinate of this rank."""
        return int(self.engine.grid.get_data_parallel_rank())


def layer_recipe(stage: Stage) -> Any:
    """A stage as DeepSpeed's ``LayerSpec``, its weights still drawn by `Stage.build`."""
    from deepspeed.pipe import LayerSpec, TiedLayerSpec

    if stage.tied:
        spec = TiedLayerSpec(
            stage.tied,
            stage.module,
            forward_fn=stage.call,
            tied_weight_attr=["embedding.weight"],
        )
    else:
        spec = LayerSpec(stage.module)
    spec.build = lambda log=False: stage.build()
    return spec
