"""Encoders without a head: their hidden vectors come in, and the head that is drawn is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.hub import BERT
from helpers.models import shaken
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BertConfig, BertModel

from dslm.commands import evaluate, generate, hub
from dslm.commands.cli import run as run_command
from dslm.errors import UserError
from dslm.hub.importing import import_folder
from dslm.inference.selection import select
from dslm.model.block import Block
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.run.checkpoint import checkpoints, read_weights
from dslm.run.folder import RunFolder
from dslm.train.weight_transfer import compare

Home = Callable[..., Path]
FILE = "model.safetensors"


@pytest.fixture(params=[True, False])
def encoder(request: pytest.FixtureRequest) -> Any:
    """A BERT without a head, with its pooler or without."""
    return shaken(BertModel(BertConfig(**BERT), add_pooling_layer=request.param))


def hidden(run: Path, tokens: Tensor, segments: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """The hidden vectors of a run's encoder, and what its pooler makes of the first ones."""
    folder = RunFolder(run)
    config = folder.read_config().model
    model = Transformer(stages(config, 0, ("segments", "visibility"))).eval()
    model.layers.load_state_dict(read_weights(checkpoints(folder.checkpoints)[0][1]))
    found, layers = list[Tensor](), list(model.layers.values())
    last = [layer for layer in layers if isinstance(layer, Block)][-1]
    pooler: Any = next((one.pooler for one in layers if getattr(one, "pooler", None)), None)
    last.register_forward_hook(lambda _, __, output: found.append(output))
    with torch.no_grad():
        model((tokens, segments, -real.long()))
        return found[0], found[0] if pooler is None else pooler(found[0][:, 0]).tanh()


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_the_hidden_vectors_are_those_of_transformers(
    prefix: str, encoder: Any, home: Home, tmp_path: Path
) -> None:
    folder = home(encoder)
    weights = {f"{prefix}{name}": one for name, one in load_file(folder / FILE).items()}
    weights[f"{prefix}embeddings.position_ids"] = torch.arange(24)[None]
    save_file(weights, folder / FILE)
    import_folder(folder, tmp_path / "run")
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randint(301, (3, 24), generator=draw)
    segments = (torch.arange(24) >= 9).long().expand(3, 24)
    real = torch.arange(24) < torch.tensor([[24], [17], [5]])
    with torch.no_grad():
        wanted = encoder(tokens, attention_mask=real.long(), token_type_ids=segments)
    vectors, pooled = hidden(tmp_path / "run", tokens, segments, real)
    assert float((vectors - wanted.last_hidden_state)[real].abs().max()) <= 1e-5
    if wanted.pooler_output is not None:
        assert float((pooled - wanted.pooler_output).abs().max()) <= 1e-5


def test_what_was_drawn_is_named_and_nothing_else_is_trained_anew(
    encoder: Any, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["import", str(home(encoder)), str(tmp_path / "run")]
    assert run_command(hub.main, words) == 0
    said = capsys.readouterr().out
    drawn = [line.strip() for line in said.splitlines() if line.startswith("  cls.")]
    config = RunFolder(tmp_path / "run").read_config().model
    classes = {"classes": 3, "pooler": True, "transform": False, "pair_head": False}
    told = compare(config, type(config)(**{**vars(config), **classes})).initialized
    pair = ["cls.seq_relationship.weight", "cls.seq_relationship.bias"]
    assert set(pair) <= set(drawn) if config.pair_head else not set(pair) & set(drawn)
    assert told == (["ClassHead.classes"] if config.pair_head else ["ClassHead"])
    assert f"drawn: {len(drawn)} tensors of the head" in said
    assert "launch/fine_tune.py" in said
    assert "generate.py" not in said


def test_a_run_whose_head_was_drawn_is_not_used(
    encoder: Any, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    import_folder(home(encoder), run)
    with pytest.raises(UserError, match="has an untrained head: the imported folder had none"):
        select(run)
    assert run_command(generate.main, [str(run), "--prompt", "The <mask>"]) == 2
    assert run_command(evaluate.main, [str(run), "--data", str(home)]) == 2
    assert run_command(hub.main, ["export", str(run), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("train it first: python launch/fine_tune.py") == 3


def test_weights_that_an_encoder_must_have_are_reported(
    encoder: Any, home: Home, tmp_path: Path
) -> None:
    folder, gone = home(encoder), "encoder.layer.1.output.dense.weight"
    weights = load_file(folder / FILE)
    save_file({name: one for name, one in weights.items() if name != gone}, folder / FILE)
    with pytest.raises(UserError) as caught:
        import_folder(folder, tmp_path / "run")
    assert [problem.where for problem in caught.value.problems] == [f"bert.{gone}"]
