"""Float16's loss scale: what a step did under it.

Gradients that overflow are expected of float16: the step is left out and the scale falls. DeepSpeed
calls every gradient that is not finite an overflow, in float32 and bfloat16 too, where there is no
scale and nothing to expect.
"""

from __future__ import annotations

from enum import Enum
from typing import Any


class Step(Enum):
    """What became of an optimizer step."""

    MADE = "made"
    SKIPPED = "skipped"
    """Left out: the scaled gradient overflowed, and the scale was lowered."""
    EXHAUSTED = "exhausted"
    """Left out, and the scale cannot be lowered any further."""


class LossScale:
    """The loss scale of DeepSpeed's ``fp16``, or of ``torch_autocast`` to float16 without ZeRO.

    Args:
        engine: what ``deepspeed.initialize`` returned.
    """

    def __init__(self, engine: Any) -> None:
        self.optimizer = engine.optimizer
        self.autocast = engine.torch_autocast_z0_gradscaler
        self.scaler: Any = self.optimizer.loss_scaler if engine.fp16_enabled() else None
        if self.scaler is not None and self.dynamic:
            self.scaler.raise_error_at_min_scale = False  # `EXHAUSTED` says it better
        self._before = self._state()

    @property
    def used(self) -> bool:
        """Whether the loss is scaled at all."""
        return self.scaler is not None or self.autocast is not None

    @property
    def dynamic(self) -> bool:
        """Whether DeepSpeed adapts the scale."""
        return bool(getattr(self.scaler, "dynamic", False))

    def factor(self) -> float:
        """What the loss of the next step is multiplied by."""
        return float(self._state()[0])

    def after_step(self) -> Step:
        """What became of the step just made; to be asked once a step, the same on all ranks."""
        if not self.used:
            return Step.MADE
        before, self._before = self._before, self._state()
        if self.autocast is not None:
            if self._before[0] >= before[0]:
                return Step.MADE
            return Step.SKIPPED if self._before[0] >= 1 else Step.EXHAUSTED
        if not self.optimizer.overflow:
            return Step.MADE
        can_fall = self.dynamic and before != (self.scaler.min_scale, 1)
        return Step.SKIPPED if can_fall else Step.EXHAUSTED

    def _state(self) -> tuple[float, int]:
        """The scale, and which of the coming overflows will lower it."""
        if self.autocast is not None:
            return self.autocast.get_scale(), 1
        if not self.dynamic:
            return self.scaler.cur_scale if self.scaler is not None else 1.0, 1
        return self.scaler.cur_scale, min(self.scaler.cur_hysteresis, self.scaler.delayed_shift)
