"""DeepSpeed's JSON and the layout that it is for, as the rules read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dslm.parallel.deepspeed_json.optimizer import named
from dslm.parallel.deepspeed_json.schema import given

TYPE = "optimizer.type"
PARAMETERS = "optimizer.params"


@dataclass(frozen=True)
class Case:
    """The file and the layout that the rules look at."""

    config: Mapping[str, Any]
    pipeline_stages: int
    cpu: bool
    tensor_parallel: int = 1

    def of(self, path: str, default: Any = None) -> Any:
        """The value at a path, see `given`."""
        return given(self.config, path, default)

    @property
    def stage(self) -> int | None:
        """The ZeRO stage; None when the file gives one that does not exist."""
        stage: int | None = self.of("zero_optimization.stage", 0)
        return stage

    def below(self, stage: int) -> bool:
        """Whether the ZeRO stage is known and lower than this one."""
        return self.stage is not None and self.stage < stage

    @property
    def optimizer(self) -> str | None:
        """The key of `OPTIMIZERS`; None when there is no optimizer, or no such."""
        return named(self.of(TYPE, "") or "")

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What ``optimizer.params`` holds."""
        parameters: Mapping[str, Any] = self.of(PARAMETERS, {}) or {}
        return parameters

    @property
    def precision(self) -> str:
        """The type of the weights that the forward pass reads."""
        return next((p for p in ("fp16", "bf16") if self.of(f"{p}.enabled", False)), "fp32")
