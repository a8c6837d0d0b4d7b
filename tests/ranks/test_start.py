"""Training that begins with the weights of an imported model, as a plain loop would go on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hub.conftest import GPT2, IDS, byte_level, text
from launching import launch
from models import shaken
from ranks.conftest import deepspeed
from transformers import GPT2Config, GPT2LMHeadModel

from dslm.data.shard_set import ShardSet
from dslm.data.sharding import shard
from dslm.data.stream import Cut, Stream, Windows
from dslm.data.work.plan import Sharding
from dslm.hub.importing import import_folder
from dslm.inference.trained import load

pytestmark = pytest.mark.ranks

STEPS = 4
ADAMW = {"lr": 1e-2, "weight_decay": 0.0, "torch_adam": True}
SETTINGS = {"gradient_clipping": 0.0, "optimizer": {"type": "AdamW", "params": ADAMW}}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[float]]:
    """A run made of a GPT-2, shards of its tokenizer, and the losses of a plain loop over them."""
    home = tmp_path_factory.mktemp("imported")
    still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    model = shaken(GPT2LMHeadModel(GPT2Config(**GPT2, **IDS, **still)))
    model.save_pretrained(home / "theirs")
    byte_level().save(str(home / "theirs" / "tokenizer.json"))
    import_folder(home / "theirs", home / "run")
    (home / "text.txt").write_text(text(5, 3000))
    shard([home / "text.txt"], home / "shards", Sharding(home / "run" / "tokenizer"))
    return home / "run", home / "shards", plain_loop(model, home / "shards")


def plain_loop(model: Any, shards: Path) -> list[float]:
    """The losses of `transformers` and torch alone on the batches that a run reads."""
    stream = Stream([Windows(ShardSet.open(shards), Cut(model.config.n_positions, 1))], None, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=ADAMW["lr"], weight_decay=0.0)
    losses = []
    for step in range(STEPS):
        rows = torch.from_numpy(stream.rows(16 * step, 16)).long()
        scores = model(rows[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def words(run: Path, shards: Path, *more: str) -> list[str]:
    schedule = ["schedule.kind=constant", "schedule.warmup_steps=0", "log_interval=1"]
    return ["fine_tune", f"start={run}", f"data.train={shards}", *schedule, *more]


LAYOUTS = {
    "one rank": (1, 0, 1),
    "ZeRO-1 on two ranks": (2, 1, 1),
    "ZeRO-3 on two ranks": (2, 3, 1),
    "pipeline of two": (2, 1, 2),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_training_goes_on_from_an_imported_model_as_a_plain_loop_does(
    layout: str, imported: tuple[Path, Path, list[float]], tmp_path: Path
) -> None:
    run, shards, losses = imported
    ranks, stage, pipeline = LAYOUTS[layout]
    told = words(run, shards, f"steps={STEPS}", f"pipeline_stages={pipeline}")
    ended = launch(tmp_path / "run", told, deepspeed(stage, **SETTINGS), ranks)
    assert ended.code == 0, ended.messages
    assert f"with the weights of {run}" in ended.messages
    assert ended.metrics() == pytest.approx(losses, rel=1e-5)


def test_a_run_that_began_with_a_model_resumes_its_own(
    imported: tuple[Path, Path, list[float]], tmp_path: Path
) -> None:
    run, shards, losses = imported
    for steps in (2, STEPS):
        told = words(run, shards, f"steps={steps}")
        ended = launch(tmp_path / "run", told, deepspeed(0, **SETTINGS), 1)
        assert ended.code == 0, ended.messages
    assert "from step 2" in ended.messages
    assert ended.metrics() == pytest.approx(losses, rel=1e-5)
    assert load(tmp_path / "run").step == STEPS


def test_a_damaged_start_is_told_before_training(
    imported: tuple[Path, Path, list[float]], tmp_path: Path
) -> None:
    run, shards, _ = imported
    shutil.copytree(run, tmp_path / "copy")
    file = tmp_path / "copy/checkpoints/step-00000000/layer-0003.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    told = words(tmp_path / "copy", shards, "steps=2")
    ended = launch(tmp_path / "run", told, deepspeed(0, **SETTINGS), 1)
    assert ended.code == 2
    assert "layer-0003.safetensors: is damaged" in ended.messages
