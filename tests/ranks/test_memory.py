"""The memory that a run takes is the memory that its first screen promised."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch

pytestmark = pytest.mark.ranks

WEIGHTS = "model.layers=4 model.heads=8 model.width=384 model.sequence=64 model.vocabulary=4000"
"""8.7 million weights and few activations."""
ACTIVATIONS = "model.layers=6 model.heads=4 model.width=192 model.sequence=256"
"""2.7 million weights, and about twenty times as much for the micro-batches."""
BF16 = {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
LEAN = {
    "bf16": {"enabled": True, "bf16_master_weights_and_grads": True, "bf16_optimizer_states": True}
}
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Parameters of glibc's mallopt(3)."""


def give_back_at_once(rank: int) -> None:
    """Have glibc keep nothing that was freed, so that what is held can be read off the process."""
    library = ctypes.CDLL(None)
    for parameter in (MMAP_THRESHOLD, TRIM_THRESHOLD):
        library.mallopt(parameter, 65536)


@pytest.mark.parametrize(
    ("shape", "micro", "stage", "pipeline", "changes"),
    [
        (WEIGHTS, 1, 0, 1, {}),
        (WEIGHTS, 1, 3, 1, {}),
        (WEIGHTS, 1, 1, 1, BF16),
        (WEIGHTS, 1, 2, 1, LEAN),
        (f"{WEIGHTS} precision=fp8 float8.narrowest=64", 1, 3, 1, {}),
        (f"{WEIGHTS} quantization.scheme=w4", 1, 3, 1, {}),
        (f"{WEIGHTS} quantization.scheme=w8a8 model.recompute=true", 1, 1, 1, BF16),
        (ACTIVATIONS, 8, 2, 1, {}),
        (f"{ACTIVATIONS} precision=bf16_autocast", 8, 2, 1, {}),
        (ACTIVATIONS, 8, 1, 2, {}),
        (f"{ACTIVATIONS} model.recompute=selective", 8, 2, 1, {}),
    ],
)
def test_a_rank_takes_the_memory_that_was_predicted(
    shape: str,
    micro: int,
    stage: int,
    pipeline: int,
    changes: dict[str, Any],
    tmp_path: Path,
    shards: Path,
) -> None:
    batch = {
        "train_batch_size": 4 * micro,
        "train_micro_batch_size_per_gpu": micro,
        **changes,
    }
    ended = launch(
        tmp_path / "run",
        ["tiny", *shape.split(), f"data.train={shards}", "steps=3", f"pipeline_stages={pipeline}"],
        deepspeed(stage, **batch),
        ranks=2,
        prepare=give_back_at_once,
    )
    assert ended.code == 0, ended.messages
    found = re.search(r"measured ([\d.]+) GiB a rank at most, ([\d.]+) predicted", ended.messages)
    assert found, ended.messages
    print(found[0])
    assert float(found[2]) == pytest.approx(float(found[1]), rel=0.15)
