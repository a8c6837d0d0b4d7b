"""A mixture of experts trains at every layout as on one rank, with the losses of its routers."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

pytestmark = pytest.mark.ranks

STEPS = 20
LAYOUTS = {
    "ZeRO-0": (0, 1, 1),
    "ZeRO-1": (1, 1, 1),
    "ZeRO-2": (2, 1, 1),
    "ZeRO-3": (3, 1, 1),
    "pipeline": (1, 2, 1),
    "tensor": (2, 1, 2),
}
"""ZeRO stage, pipeline stages and ranks that share each layer, on two ranks."""
SHAPE = ["model.width=32", "model.experts=4", "model.router_balance_loss=1"]
"""The losses of the routers weigh so much that what is wrong with them shows in all others."""
MEASURED = "loss", "router_balance_loss", "router_z_loss", "largest_expert_share"


def train(
    folder: Path,
    words: list[str],
    ranks: int,
    stage: int = 0,
    pipeline: int = 1,
    tensor: int = 1,
    **changes: object,
) -> Ended:
    words = [word for word in words if not word.startswith("model.width=")]
    words += [*SHAPE, f"steps={STEPS}", "log_interval=1"]
    words += [f"pipeline_stages={pipeline}", f"tensor_parallel={tensor}"]
    ended = launch(folder, words, deepspeed(stage, **changes), ranks)
    assert ended.code == 0, ended.messages
    return ended


def test_every_layout_gives_the_losses_of_one_rank(tmp_path: Path, words: list[str]) -> None:
    one = train(tmp_path / "one", words, 1)
    known = {key: one.metrics(key) for key in MEASURED}
    assert len(known["loss"]) == STEPS
    assert known["loss"][-1] < known["loss"][0] - 0.3
    assert max(known["largest_expert_share"]) <= 1
    norms = one.metrics("gradient_norm")
    cut = train(tmp_path / "cut", words, 1, train_micro_batch_size_per_gpu=8)
    others = [
        train(tmp_path / name, [*words, f"model.recompute={str(stage == 2).lower()}"], 2, *layout)
        for name, layout in LAYOUTS.items()
        for stage in layout[:1]
    ]
    for ended in (cut, *others):
        for key in MEASURED:
            found = ended.metrics(key)
            assert found[0] == pytest.approx(known[key][0], rel=1e-6), (ended.folder, key)
            assert found == pytest.approx(known[key], rel=1e-4), (ended.folder, key)
        assert ended.metrics("gradient_norm")[0] == pytest.approx(norms[0], rel=1e-4), ended.folder
