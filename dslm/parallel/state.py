"""Whole tensors out of and into any layout: what a checkpoint is made of.

For a weight called NAME the training state holds ``NAME`` (the float32 master) and ``NAME#MOMENT``
for each moment its optimizer keeps. DeepSpeed spreads them over the replicas in its own way at each
stage; here they are gathered one weight at a time, so that memory stays flat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dslm.parallel import muon
from dslm.parallel.deepspeed_json.optimizer import moments
from dslm.parallel.engine import Engine


class TrainingState:
    """The state of an engine as named float32 tensors.

    Args:
        engine: whose state; it must have made a step, which creates the moments.
        config: DeepSpeed's JSON.
    """

    def __init__(self, engine: Engine, config: Mapping[str, Any]) -> None:
        self.engine = engine
        self.config = config
        self.stage = engine.plan.zero_stage
        self._link_moments()

    def names(self, parameter: nn.Parameter) -> tuple[str, ...]:
        """The moments the optimizer keeps for a weight."""
        return moments(self.config, bool(getattr(parameter, "use_muon", False)))

    def tensors(self, name: str, parameter: nn.Parameter) -> Iterator[tuple[str, Tensor]]:
        """The master and the moments of a weight; every rank that has it must call this.

        Yields:
            (``NAME`` or ``NAME#MOMENT``, tensor of the weight's shape in float32).
        """
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        if self._is_local():
            kept = self._inner().state[parameter]
            yield name, parameter.detach()
            yield from ((f"{name}#{moment}", kept[moment]) for moment in self.names(parameter))
            return
        yield name, safe_get_full_fp32_param(parameter)
        for moment in self.names(parameter):
            if self._is_muon(parameter):
                yield f"{name}#{moment}", muon.gather(self.engine.engine.optimizer, parameter)
            else:
                yield f"{name}#{moment}", safe_get_full_optimizer_state(parameter, moment)

    def assign(self, name: str, parameter: nn.Parameter, read: Callable[[str], Tensor]) -> None:
        """Set a weight's master and moments; the inverse of `tensors`.

        Args:
            name: the weight's layout-free name.
            parameter: the weight.
            read: returns the whole tensor of a name.
        """
        for moment in self.names(parameter):
            self._put(parameter, read(f"{name}#{moment}"), moment)
        self.assign_weight(parameter, read(name))

    def assign_weight(self, parameter: nn.Parameter, master: Tensor) -> None:
        """Set a weight's float32 master and what the forward pass reads."""
        self._put(parameter, master, None)
        self._renew_working_copy(parameter, master)

    def optimizer_steps(self) -> int:
        """How many updates the optimizer has made (skipped ones not counted)."""
        steps = [int(kept["step"]) for kept in self._inner().state.values() if "step" in kept]
        return max(steps, default=0)

    def set_optimizer_steps(self, steps: int) -> None:
        """Set the count on which Adam's bias correction depends."""
        for kept in self._inner().state.values():
            if torch.is_tensor(kept.get("step")):
                kept["step"].fill_(steps)
            elif "step" in kept:
                kept["step"] = steps

    def loss_scale(self) -> dict[str, float]:
        """The state of float16's dynamic loss scale; empty where there is none."""
        scaler = self._dynamic_scaler()
        return {key: getattr(scaler, key) for key in SCALER if hasattr(scaler, key)}

    def set_loss_scale(self, values: Mapping[str, float]) -> None:
        """Continue float16's dynamic loss scale, where this run has one."""
        scaler = self._dynamic_scaler()
        for key, value in values.items() if scaler is not None else ():
            setattr(scaler, key, value)

    def has_moments(self) -> bool:
        """Whether there are moments to put values into (or none are kept)."""
        kept = [value for state in self._inner().state.values() for value in state.values()]
        return any(map(torch.is_tensor, kept)) or not moments(self.config, is_matrix=True)

    def _link_moments(self) -> None:
        """Link each weight to its moments.

        DeepSpeed does so after the first group of weights has made its first step, when those of
        the other groups do not exist yet, and never again.
        """
        wrapped = self.engine.engine.optimizer
        if hasattr(wrapped, "_lazy_init_hp_params_optimizer_state"):
            wrapped._hp_optimizer_states_linked = False
            wrapped._lazy_init_hp_params_optimizer_state()

    def _inner(self) -> torch.optim.Optimizer:
        wrapped = self.engine.engine.optimizer
        inner: torch.optim.Optimizer = getattr(wrapped, "optimizer", wrapped)
        return inner

    def _dynamic_scaler(self) -> Any | None:
        scaler = getattr(self.engine.engine.optimizer, "loss_scaler", None)
        return scaler if getattr(scaler, "dynamic", False) else None

    def _is_local(self) -> bool:
        """Whether the weights themselves are the masters: ZeRO-0 in float32."""
        return isinstance(self.engine.engine.optimizer, torch.optim.Optimizer)

    def _is_muon(self, parameter: nn.Parameter) -> bool:
        """Whether the moment is kept in Muon's own way; with offload it is cut like all others."""
        optimizer = self.engine.engine.optimizer
        whole = hasattr(optimizer, "params_in_partition") and not optimizer.cpu_offload
        return whole and bool(getattr(parameter, "use_muon", False))

    @torch.no_grad()
    def _put(self, parameter: nn.Parameter, value: Tensor, moment: str | None) -> None:
        from deepspeed import utils

        if self._is_local():
            kept = self._inner().state[parameter]
            (parameter if moment is None else kept[moment]).copy_(value)
        elif self.stage == 3:
            own = self._partition(parameter, value)
            if moment is None:
                utils.safe_set_local_fp32_param(parameter, own)
            else:
                utils.safe_set_local_optimizer_state(parameter, own, moment)
        elif moment is not None and self._is_muon(parameter):
            kept_here = muon.momentum(self.engine.engine.optimizer, parameter)
            if kept_here is not None:
                kept_here.copy_(value)
        elif moment is None:
            utils.safe_set_full_fp32_param(parameter, value)
        else:
            utils.safe_set_full_optimizer_state(parameter, value, moment)

    def _partition(self, parameter: nn.Parameter, value: Tensor) -> Tensor:
        """This replica's piece of a ZeRO-3 weight; the last one is padded with zeros."""
        size = -(-value.numel() // self.engine.plan.replicas)
        padded = value.new_zeros(size * self.engine.plan.replicas)
        padded[: value.numel()] = value.flatten()
        start = size * self.engine.replica
        return padded[start : start + size]

    @torch.no_grad()
    def _renew_working_copy(self, parameter: nn.Parameter, value: Tensor) -> None:
        """The weight the forward pass reads; without this it would use the old one, silently."""
        import deepspeed

        cut = self.stage == 3
        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0, enabled=cut):
            parameter.copy_(value)


SCALER = ("cur_scale", "cur_iter", "last_overflow_iter", "cur_hysteresis")
"""The numbers of DeepSpeed's dynamic loss scale that have a history."""
