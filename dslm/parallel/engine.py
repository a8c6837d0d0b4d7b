"""The methods that train a model, the same under ZeRO and in a pipeline.

The loop calls `train_batch`, `evaluate`, `mean` and so on, and never asks which layout it runs on.
`layout` chooses the kind of engine by the plan.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from dslm.model.sequence import share_rows
from dslm.model.tensor_parallel import piece_of
from dslm.objectives.batch import Batch
from dslm.parallel.groups import Groups
from dslm.parallel.loss import LossFunction
from dslm.parallel.loss_scale import LossScale
from dslm.parallel.optimizers import peak_rate
from dslm.parallel.plan import Plan
from dslm.parallel.routing import Routing
from dslm.parallel.rows import SharedRows, own_part
from dslm.parallel.stop import Stop
from dslm.parallel.veto import veto_bad_steps
from dslm.quantization.rounding import Quantizer

AT_ONCE = 16
"""Micro-batches that are evaluated before the ranks can agree on something else."""


class Engine(ABC):
    """A model laid out over the ranks, ready to be trained.

    Args:
        engine: what ``deepspeed.initialize`` returned.
        plan: the layout.
        groups: its process groups.
        loss_function: the loss of its outputs.
    """

    def __init__(
        self, engine: Any, plan: Plan, groups: Groups, loss_function: LossFunction
    ) -> None:
        self.engine = engine
        self.plan = plan
        self.groups = groups
        rank = groups.rank
        self.replica = plan.grid.coordinates(rank).data
        """Which of the replicas this rank belongs to: which windows it reads."""
        self.copy = plan.grid.copy(rank)
        """Which of the ranks that hold the same weights this rank is."""
        self.in_stage = plan.grid.in_stage(rank)
        """Which rank of its pipeline stage this rank is."""
        self.rows: SharedRows | None = None
        """The windows whose tokens this rank shares with others, if it does."""
        if groups.sequence is not None:
            self.rows = SharedRows(groups.sequence)
            share_rows(engine.module, self.rows.part)
        self.loss_function = loss_function
        loss_function.group = groups.copies
        self.peak_learning_rates = [group["lr"] for group in engine.optimizer.param_groups]
        self.rate = peak_rate(engine.config)
        self.loss_scale = LossScale(engine)
        self.quantizer: Quantizer | None = None
        """What the layers round to, if they do."""
        self.routing: Routing | None = None
        """The routers of the blocks, if they have experts."""
        self.stop = Stop(torch.device(engine.device))
        self._norm: Tensor | None = None
        self._weights = list(engine.module.parameters())
        engine.clip_fp32_gradients = self._clip
        veto_bad_steps(engine.optimizer, self._known_norm)

    @abstractmethod
    def train_batch(self, micro_batches: Iterator[Batch]) -> Tensor:
        """One optimizer step over `plan.accumulation` micro-batches.

        Returns:
            This rank's mean loss, a scalar on the device; `mean` makes it that of all ranks.
        """

    def evaluate(
        self, micro_batches: Sequence[Batch], between: Callable[[], None] = lambda: None
    ) -> Tensor:
        """Mean loss of this replica's micro-batches without learning, on every rank.

        Args:
            micro_batches: as many on every replica.
            between: called on every rank after every `AT_ONCE` of them.
        """
        count, losses = len(micro_batches), []
        self.loss_function.objective.learning = False
        counted = self.counted(iter(micro_batches), count)
        for first in range(0, count, AT_ONCE):
            some = min(AT_ONCE, count - first)
            losses.append(self.evaluate_counted(counted, some) * (some / count))
            between()
        return torch.stack(losses).sum()

    @abstractmethod
    def evaluate_counted(self, micro_batches: Iterator[Batch], count: int) -> Tensor:
        """Mean loss of the next micro-batches of those that `counted` returned."""

    @abstractmethod
    def parameters(self) -> dict[str, nn.Parameter]:
        """The weights this rank takes part in, by their layout-free names ``INDEX.…``."""

    @property
    @abstractmethod
    def computes_loss(self) -> bool:
        """Whether this rank computes losses."""

    @property
    def reads(self) -> bool:
        """Whether this rank is given micro-batches to train on."""
        return True

    @abstractmethod
    def owns(self, index: int) -> bool:
        """Whether the layer of an index is saved by the ranks of this rank's stage."""

    def counted(self, micro_batches: Iterator[Batch], count: int) -> Iterator[Batch]:
        """Parts of micro-batches for this rank, once it is known how many labels all ranks have.

        How many, or the sum of their weights, see `Objective.counts`.

        By the same sum over the ranks they know whether to stop after the step (`Engine.stop`).
        Every rank must call it; those that compute no losses read nothing ahead.
        """
        objective = self.loss_function.objective
        if (rows := self.rows) is not None:
            extras = objective.extras
            micro_batches = (own_part(batch, extras, rows.part) for batch in micro_batches)
        counts = torch.zeros(objective.parts, dtype=torch.float64, device=self.engine.device)
        if self.computes_loss:
            known = list(itertools.islice(micro_batches, count))
            counts += sum(objective.counts(labels) for _, labels in known)
            counts /= self.plan.tensor_parallel  # whose ranks count the same labels
            micro_batches = iter(known)
        sums = self.stop.with_requests(counts)
        torch.distributed.all_reduce(sums)
        counts = self.stop.without_requests(sums)
        self.loss_function.share(counts, count, self.plan.copies)
        return micro_batches

    def begin_step(self) -> None:
        """Let the loss and the routers know that what follows is a step."""
        self.loss_function.objective.learning = True
        if self.routing is not None:
            self.routing.begin(self.loss_scale.factor() / self.plan.accumulation)

    @property
    def half(self) -> bool:
        """Whether the forward pass computes at 16 bits."""
        weight = next(iter(self.parameters().values()))
        return weight.dtype != torch.float32 or bool(self.engine.torch_autocast_enabled())

    def set_learning_rate(self, factor: float) -> None:
        """Set the learning rate to `factor` × its peak in DeepSpeed's JSON."""
        groups = self.engine.optimizer.param_groups
        self.rate = factor * peak_rate(self.engine.config)
        for group, peak in zip(groups, self.peak_learning_rates, strict=True):
            group["lr"] = peak * factor

    def learning_rate(self) -> float:
        """The learning rate of the next step, of the layers that have no lower one."""
        return self.rate

    def mean(self, value: Tensor) -> float:
        """The mean over all ranks of a scalar; every rank must call it."""
        total = value.detach().float().clone()
        torch.distributed.all_reduce(total)
        return float(total) / self.plan.world

    def measures(self) -> dict[str, float]:
        """The metrics collected since the last call, over all ranks; every rank must call it."""
        if not self.loss_function.objective.measures:
            return {}
        metrics = self.loss_function.pop_metrics().to(self.engine.device)
        torch.distributed.all_reduce(metrics)
        values = (metrics[:, 0] / metrics[:, 1].where(metrics[:, 1] != 0, 1)).tolist()
        return dict(zip(self.loss_function.objective.measures, values, strict=True))

    def collect(self, on: bool) -> None:
        """Set whether the next forward passes collect what `measures` returns."""
        self.loss_function.collect = on
        if self.quantizer is not None:
            self.quantizer.collect = on

    def rounding_error(self) -> dict[str, float]:
        """How far the weights of rounding layers are moved; every rank must call it.

        Returns:
            ``rounding_error``, the norm of what rounding changes over that of the weights, if they
            were rounded while this was collected.
        """
        if self.quantizer is None:
            return {}
        sums = self.quantizer.pop_sums().to(self.engine.device)
        torch.distributed.all_reduce(sums)
        moved, all_of_it = sums.tolist()
        return {"rounding_error": math.sqrt(moved / all_of_it)} if all_of_it else {}

    def routed(self) -> dict[str, float]:
        """What `Routing.measures` says of the last step; every rank must call it."""
        return {} if self.routing is None else self.routing.measures()

    def gradient_norm(self) -> float | None:
        """Euclidean norm of the last step's gradient before clipping, where it is known."""
        norm = self.norm()
        value = None if norm is None else float(norm)
        return value if value is None or math.isfinite(value) else math.inf

    def norm(self) -> Tensor | float | None:
        """As `gradient_norm`, but where it is, and infinite when DeepSpeed left out the step."""
        if getattr(self.engine.optimizer, "overflow", False):
            return math.inf
        norm: Tensor | float | None = self.engine.get_global_grad_norm()
        return norm if self._norm is None else self._norm

    def kept(self) -> dict[str, list[Tensor]]:
        """What this rank keeps of the weights that the forward pass reads, and of the moments."""
        wrapped = self.engine.optimizer
        states = getattr(wrapped, "optimizer", wrapped).state.values()
        return {
            "the weights are": [getattr(weight, "ds_tensor", weight) for weight in self._weights],
            "the optimizer's moments are": [
                value for state in states for value in state.values() if torch.is_tensor(value)
            ],
        }

    def _clip(self) -> None:
        """What DeepSpeed does at ZeRO-0 in float32, but keeping the norm it drops."""
        self._norm = self._measured_norm()
        most = self.engine.gradient_clipping()
        nn.utils.clip_grads_with_norm_(self._weights, most, self._norm)

    def _known_norm(self) -> Tensor:
        """The norm at ZeRO-0 in float32, measured here where nothing is clipped."""
        if not self.engine.gradient_clipping():
            self._norm = self._measured_norm()
        assert self._norm is not None, "measured when it was clipped"
        return self._norm

    @cached_property
    def counted_weights(self) -> dict[str, nn.Parameter]:
        """Of the weights that are on several ranks of a replica those that count on this one.

        So that what is summed over all ranks of a replica has every number of the model once.
        """
        return {
            name: weight
            for name, weight in self.parameters().items()
            if self.owns(int(name.partition(".")[0]))
            and (self.groups.tensor_axis.rank == 0 or piece_of(weight) is not None)
        }

    def _measured_norm(self) -> Tensor:
        """The norm of the gradient of the whole model, of which this rank may have a part."""
        counted = self.counted_weights.values()
        gradients = [weight.grad for weight in counted if weight.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.plan.pipeline_stages * self.plan.tensor_parallel == 1:
            return norm
        squares = norm.to(self.engine.device).square()
        torch.distributed.all_reduce(squares, group=self.groups.parts)
        return squares.sqrt()
