"""Small shard sets and DeepSpeed settings that the tests of several folders share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from dslm.data.sharding import shard
from dslm.data.tokenizer_training import Training, train_tokenizer
from dslm.data.work.plan import Sharding

settings.register_profile("dslm", deadline=None)  # a busy machine is not a failure
settings.load_profile("dslm")


@pytest.fixture(scope="session")
def make_shards(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes a shard set of a text's characters: ``make_shards(text)`` returns its folder."""

    def make(text: str) -> Path:
        folder = tmp_path_factory.mktemp("shards")
        (folder / "text.txt").write_text(text)
        train_tokenizer([folder / "text.txt"], folder / "tokenizer", Training("char", None))
        shard([folder / "text.txt"], folder / "set", Sharding(folder / "tokenizer"))
        return folder / "set"

    return make


@pytest.fixture(scope="session")
def shard_set(make_shards: Any) -> Path:
    """About eight thousand tokens, 16 ids: enough for windows of 128."""
    return make_shards(" ".join(f"{n} plus {n} is {2 * n}." for n in range(400)))


@pytest.fixture(scope="session")
def deepspeed_settings() -> dict[str, Any]:
    """DeepSpeed's JSON for a batch of 16 windows, two at a time."""
    return {
        "train_batch_size": 16,
        "train_micro_batch_size_per_gpu": 2,
        "gradient_clipping": 1.0,
        "optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "torch_adam": True}},
        "zero_optimization": {"stage": 1},
    }


@pytest.fixture(scope="session")
def deepspeed_file(
    tmp_path_factory: pytest.TempPathFactory, deepspeed_settings: dict[str, Any]
) -> Path:
    """The same as a file."""
    path = tmp_path_factory.mktemp("deepspeed") / "zero1.json"
    path.write_text(json.dumps(deepspeed_settings))
    return path
