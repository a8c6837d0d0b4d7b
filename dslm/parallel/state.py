"""Whole tensors out of any layout, and into it the parts that each rank keeps.

For a weight called NAME the training state holds ``NAME`` (the float32 master) and ``NAME#MOMENT``
for each moment its optimizer keeps. DeepSpeed spreads them over the copies in its own way at each
stage; here they are gathered one weight at a time, so that memory stays flat, and filled by each
rank with the numbers of its own part alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dslm.model.initial import Numbers
from dslm.model.tensor_parallel import piece_of
from dslm.parallel import frozen, muon
from dslm.parallel.deepspeed_json.optimizer import moments
from dslm.parallel.engine import Engine

Read = Callable[[int, int], Tensor]
"""`Numbers` of one tensor."""


class TrainingState:
    """The state of an engine as named float32 tensors.

    Args:
        engine: whose state; there are moments as soon as it has made a step.
        config: DeepSpeed's JSON.
    """

    def __init__(self, engine: Engine, config: Mapping[str, Any]) -> None:
        self.engine = engine
        self.config = config
        self.stage = engine.plan.zero_stage
        if self.has_moments():
            self._link_moments()

    def names(self, parameter: nn.Parameter) -> tuple[str, ...]:
        """The moments the optimizer keeps for a weight; none of one that learns nothing."""
        if not parameter.requires_grad:
            return ()
        return moments(self.config, bool(getattr(parameter, "use_muon", False)))

    def tensors(self, name: str, parameter: nn.Parameter) -> Iterator[tuple[str, Tensor]]:
        """The master and the moments of a weight; every rank that has it must call this.

        Yields:
            (``NAME`` or ``NAME#MOMENT``, tensor of the whole weight's shape in float32).
        """
        piece = piece_of(parameter)
        for key, tensor in self._tensors(name, parameter):
            yield key, tensor if piece is None else piece.whole(tensor)

    def _tensors(self, name: str, parameter: nn.Parameter) -> Iterator[tuple[str, Tensor]]:
        """The same of the part of a weight that this rank and its copies have."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        if not parameter.requires_grad:
            yield name, frozen.whole(parameter)
            return
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

    def fill(self, weights: Mapping[str, nn.Parameter], numbers: Numbers, moments: bool) -> None:
        """Set masters, moments and the working copies; the inverse of `tensors`.

        Every rank must call it, and reads the numbers of those parts alone that it keeps.

        Args:
            weights: all of this rank by their layout-free names, see `Engine.parameters`.
            numbers: what to fill them with.
            moments: whether there are moments to be set.
        """
        for name, parameter in weights.items():
            for moment in (None, *(self.names(parameter) if moments else ())):
                read = partial(numbers, name if moment is None else f"{name}#{moment}")
                if (piece := piece_of(parameter)) is not None:
                    read = partial(piece.read, read)
                self._put(parameter, read, moment)
        optimizer = self.engine.engine.optimizer
        if hasattr(optimizer, "update_lp_params"):  # ZeRO-1 and 2 gather what the others have set
            optimizer.update_lp_params()

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
    def _put(self, parameter: nn.Parameter, read: Read, moment: str | None) -> None:
        """Set this rank's part of a weight's master or of one of its moments."""
        if not parameter.requires_grad:
            self._put_frozen(parameter, read)
        elif self._is_local():
            kept = parameter if moment is None else self._inner().state[parameter][moment]
            kept.copy_(self._read_together(kept.numel(), read).view_as(kept))
        elif self.stage == 3:
            self._put_piece(parameter, read, moment)
        elif moment is not None and self._is_muon(parameter):
            momentum = muon.momentum(self.engine.engine.optimizer, parameter)
            if momentum is not None:
                momentum.copy_(read(0, momentum.numel()).view_as(momentum))
        elif (mapping := parameter._hp_mapping) is not None:  # type: ignore[attr-defined]
            part = mapping.lp_fragment_address
            mapping.get_hp_fragment(moment).copy_(read(part.start, part.start + part.numel))

    def _put_frozen(self, parameter: Any, read: Read) -> None:
        """Set a weight that learns nothing."""
        if self.stage == 3 and _is_plain_piece(parameter):
            parameter.ds_tensor.copy_(self._piece(parameter.ds_numel, read))
            parameter.partition()
            return
        count = getattr(parameter, "ds_numel", parameter.numel())
        whole = self._read_together(count, read)
        with frozen.gathered(parameter):
            parameter.copy_(whole.view(parameter.shape))

    def _read_together(self, count: int, read: Read) -> Tensor:
        """All numbers of a tensor that every copy keeps whole; each reads a part of them."""
        own = self._piece(count, read).to(self.engine.engine.device)
        pieces = [torch.empty_like(own) for _ in range(self.engine.plan.copies)]
        torch.distributed.all_gather(pieces, own, group=self.engine.loss_function.group)
        return torch.cat(pieces)[:count]

    def _piece(self, count: int, read: Read) -> Tensor:
        """This copy's piece of a tensor cut evenly; the last one is padded with zeros."""
        size = -(-count // self.engine.plan.copies)
        start = min(size * self.engine.copy, count)
        found = read(start, min(start + size, count))
        return nn.functional.pad(found, (0, size - found.numel()))

    def _put_piece(self, parameter: Any, read: Read, moment: str | None) -> None:
        """Set a piece under ZeRO-3; with the master the piece that the forward pass gathers."""
        from deepspeed import utils, zero

        own = self._piece(parameter.ds_numel, read)
        if moment is not None:
            utils.safe_set_local_optimizer_state(parameter, own, moment)
            return
        utils.safe_set_local_fp32_param(parameter, own)
        if _is_plain_piece(parameter):
            parameter.ds_tensor.copy_(own)
            parameter.partition()  # forgets what was gathered before, of small weights at all times
            return
        # What is on an NVMe disk or has a second copy on each host (hpZ) is left to DeepSpeed.
        whole = utils.safe_get_full_fp32_param(parameter)
        with zero.GatheredParameters([parameter], modifier_rank=0):
            parameter.copy_(whole)


def _is_plain_piece(parameter: Any) -> bool:
    """Whether a rank's piece of a weight is in memory, and has no second copy on each host."""
    return parameter.nvme_swapper is None and parameter.ds_zero_param_process_group is None


SCALER = ("cur_scale", "cur_iter", "last_overflow_iter", "cur_hysteresis")
"""The numbers of DeepSpeed's dynamic loss scale that have a history."""
