"""DeepSpeed's JSON and the small model that the tests with real ranks share."""

from __future__ import annotations

import copy
from typing import Any

ADAMW = {"lr": 1e-2, "weight_decay": 0.1, "torch_adam": True, "fused": True}


MODEL = ["model.layers=2", "model.heads=2", "model.width=30", "model.sequence=16"]


def deepspeed(stage: int = 0, **changes: Any) -> dict[str, Any]:
    """DeepSpeed's JSON for a batch of 16 windows at a ZeRO stage."""
    config: dict[str, Any] = {
        "train_batch_size": 16,
        "train_micro_batch_size_per_gpu": 2,
        "gradient_clipping": 0.5,
        "steps_per_print": 1_000_000_000,
        "optimizer": {"type": "AdamW", "params": copy.deepcopy(ADAMW)},
        "zero_optimization": {"stage": stage},
    }
    return {**config, **changes}
