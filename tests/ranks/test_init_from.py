"""Training that begins with the weights of an imported model, as a plain loop would go on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.deepspeed_json import deepspeed
from helpers.hub import BERT, GPT2, IDS, byte_level, text, word_pieces
from helpers.launching import launch
from helpers.models import shaken
from transformers import BertConfig, BertForPreTraining, BertModel, GPT2Config, GPT2LMHeadModel

from dslm.hub.importing import import_folder
from dslm.inference.trained import load
from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.sampling.stream import Stream, WindowSpec
from dslm.sampling.windows import Windows
from dslm.shards.shard_set import ShardSet

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
    sharded(home)
    losses = plain_loop(model, lambda tokens: model(tokens).logits, home / "shards")
    return home / "run", home / "shards", losses


@pytest.fixture(scope="module")
def imported_bert(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[float]]:
    """The same of a BERT, whose trunk the plain loop trains to tell the next token."""
    home = tmp_path_factory.mktemp("imported bert")
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = shaken(BertForPreTraining(BertConfig(**BERT, **still)))
    model.save_pretrained(home / "theirs")
    word_pieces().save(str(home / "theirs" / "tokenizer.json"))
    sharded(home)
    causal = BertConfig(**BERT, **still, is_decoder=True)
    trunk = BertModel(causal, add_pooling_layer=False).eval()
    trunk.load_state_dict(model.bert.state_dict(), strict=False)

    def scores(tokens: torch.Tensor) -> torch.Tensor:
        return trunk(tokens).last_hidden_state @ trunk.get_input_embeddings().weight.T

    return home / "run", home / "shards", plain_loop(trunk, scores, home / "shards")


def sharded(home: Path) -> None:
    """Make a run of the model in ``theirs``, and shards of its tokenizer."""
    import_folder(home / "theirs", home / "run")
    (home / "text.txt").write_text(text(5, 3000))
    shard([home / "text.txt"], home / "shards", ShardingConfig(home / "run" / "tokenizer"))


def plain_loop(model: Any, score: Any, shards: Path) -> list[float]:
    """The losses of `transformers` and torch alone on the batches that a run reads."""
    stream = Stream([Windows(ShardSet.open(shards), WindowSpec(24, 1))], None, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=ADAMW["lr"], weight_decay=0.0)
    losses = []
    for step in range(STEPS):
        rows = torch.from_numpy(stream.rows(16 * step, 16)).long()
        scores = score(rows[:, :-1])
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def words(run: Path, shards: Path, *more: str) -> list[str]:
    schedule = ["schedule.kind=constant", "schedule.warmup_steps=0", "log_interval=1"]
    return ["fine_tune", f"init_from={run}", f"data.train={shards}", *schedule, *more]


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
    arguments = words(run, shards, f"steps={STEPS}", f"pipeline_stages={pipeline}")
    ended = launch(tmp_path / "run", arguments, deepspeed(stage, **SETTINGS), ranks)
    assert ended.code == 0, ended.messages
    assert f"with the weights of {run}" in ended.messages
    assert ended.metrics() == pytest.approx(losses, rel=1e-5)


OTHERS = ["one rank", "ZeRO-3 on two ranks", "pipeline of two"]


@pytest.mark.parametrize("layout", OTHERS)
def test_a_causal_run_goes_on_from_the_trunk_of_a_bert_as_a_plain_loop_does(
    layout: str, imported_bert: tuple[Path, Path, list[float]], tmp_path: Path
) -> None:
    run, shards, losses = imported_bert
    ranks, stage, pipeline = LAYOUTS[layout]
    more = ["objective.kind=causal", f"steps={STEPS}", f"pipeline_stages={pipeline}"]
    ended = launch(tmp_path / "run", words(run, shards, *more), deepspeed(stage, **SETTINGS), ranks)
    assert ended.code == 0, ended.messages
    assert ended.metrics() == pytest.approx(losses, rel=1e-5)


def test_a_masked_run_draws_the_same_heads_at_every_layout(
    imported: tuple[Path, Path, list[float]], tmp_path: Path
) -> None:
    run, shards, _ = imported
    more = ["objective.kind=masked", "model.transform=true", "model.layers=4", f"steps={STEPS}"]
    losses = {}
    for layout in OTHERS:
        ranks, stage, pipeline = LAYOUTS[layout]
        arguments = words(run, shards, *more, f"pipeline_stages={pipeline}")
        ended = launch(tmp_path / layout, arguments, deepspeed(stage, **SETTINGS), ranks)
        assert ended.code == 0, ended.messages
        assert (
            "newly initialized: Block, FinalNorm, PredictionTransform, OutputBias" in ended.messages
        )
        losses[layout] = ended.metrics()
        assert losses[layout] == pytest.approx(losses[OTHERS[0]], rel=1e-5)


def test_a_run_that_began_with_a_model_resumes_its_own(
    imported: tuple[Path, Path, list[float]], tmp_path: Path
) -> None:
    run, shards, losses = imported
    for steps in (2, STEPS):
        arguments = words(run, shards, f"steps={steps}")
        ended = launch(tmp_path / "run", arguments, deepspeed(0, **SETTINGS), 1)
        assert ended.code == 0, ended.messages
    assert "from step 2" in ended.messages
    assert ended.metrics() == pytest.approx(losses, rel=1e-5)
    assert load(tmp_path / "run").step == STEPS


def test_damaged_initial_weights_are_reported_before_training(
    imported: tuple[Path, Path, list[float]], tmp_path: Path
) -> None:
    run, shards, _ = imported
    shutil.copytree(run, tmp_path / "copy")
    file = tmp_path / "copy/checkpoints/step-00000000/layer-0003.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    arguments = words(tmp_path / "copy", shards, "steps=2")
    ended = launch(tmp_path / "run", arguments, deepspeed(0, **SETTINGS), 1)
    assert ended.code == 2
    assert "layer-0003.safetensors: is damaged" in ended.messages
