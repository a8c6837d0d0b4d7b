"""What an export says of itself is true: its loss, its files and its sizes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.exports import loaded
from helpers.models import LLAMA
from helpers.untrained import untrained_run
from safetensors import safe_open

from dslm.commands.cli import run as run_command
from dslm.commands.hub import main
from dslm.errors import TrainingError
from dslm.hub import packed
from dslm.hub.exporting import export_run
from dslm.hub.manifest import AS_IN_TRAINING
from dslm.quantization.config import QuantizationConfig
from dslm.sampling.stream import WindowSpec
from dslm.shards.shard_set import ShardSet


def loss_of_transformers(folder: Path, shards: Path, rows: int) -> float:
    """The mean over the first windows of a shard set."""
    model, spec = loaded(folder), WindowSpec(24, overlap=1)
    starts = torch.arange(rows).numpy() * spec.stride
    read = torch.from_numpy(ShardSet.open(shards).windows(starts, spec.width).astype("int64"))
    with torch.no_grad():
        scores = model(read[:, :-1]).logits
    return float(torch.nn.functional.cross_entropy(scores.flatten(0, 1), read[:, 1:].flatten()))


@pytest.mark.parametrize("format", ["floats", "compressed-tensors"])
@pytest.mark.parametrize("scheme", ["w8a8", "w4a8", "w2"])
@pytest.mark.parametrize("held", ["train", "validation"])
def test_the_loss_of_training_is_that_of_transformers(
    format: str, scheme: str, held: str, shard_set: Path, deepspeed_file: Path, tmp_path: Path
) -> None:
    words = [f"quantization.scheme={scheme}", "quantization.group_size=16"]
    words += [f"data.validation={shard_set}"] if held == "validation" else []
    run = untrained_run(tmp_path / "run", shard_set, deepspeed_file, *words, factor=3.0)
    made = export_run(run, tmp_path / "out", format=format).manifest
    assert made.proof.batch == f"the first 8 rows of data.{held}"
    assert made.proof.tokens == 8 * 25
    assert made.proof.difference <= 1e-4
    theirs = loss_of_transformers(tmp_path / "out", shard_set, rows=8)
    assert theirs == pytest.approx(made.proof.exported_loss, abs=1e-4)
    kept = format == "floats" and scheme != "w2"
    assert (made.inputs == AS_IN_TRAINING) == (format != "floats" and scheme != "w2")
    assert (made.proof.training_loss != made.proof.loss) == kept
    floats = export_run(run, tmp_path / "floats", None, QuantizationConfig()).manifest
    assert floats.proof.loss != made.proof.loss


def test_where_the_shards_are_gone_tokens_are_drawn(
    shard_set: Path, make_shards: Any, deepspeed_file: Path, tmp_path: Path
) -> None:
    run = untrained_run(tmp_path / "run", shard_set, deepspeed_file)
    record = json.loads((run / "run.json").read_text())
    for other in (tmp_path / "gone", make_shards("of quite other letters, " * 40)):
        record["config"]["data"]["train"] = str(other)
        (run / "run.json").write_text(json.dumps(record))
        made = export_run(run, tmp_path / other.parent.name).manifest
        assert made.proof.batch == "random tokens, as no shards of the run were found that fit it"


def test_every_file_is_listed_with_its_hash(
    make_run: Callable[..., Path], trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["bpe"])
    export_run(run, tmp_path / "out", None, QuantizationConfig(scheme="w4"), "compressed-tensors")
    said = json.loads((tmp_path / "out/dslm_export.json").read_text())
    content = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    del content["dslm_export.json"]
    assert {file["name"]: (file["bytes"], file["sha256"]) for file in said["files"]} == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in content.items()
    }
    assert said["model"]["stored"] == sum(map(len, content.values()))
    found = said["run"], said["step"], said["holder"]
    assert found == (run.name, 7, "OPTForCausalLM")


@pytest.mark.parametrize(("scheme", "least"), [("w8a8", 3.8), ("w4", 7.0), ("w2", 12.0)])
@pytest.mark.parametrize("shape", [{}, {**LLAMA, "feed_forward": 2048}], ids=["gpt2", "llama"])
def test_maps_take_so_much_less_of_the_file(
    scheme: Any,
    least: float,
    shape: dict[str, Any],
    make_run: Callable[..., Path],
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run = make_run(trained_tokenizers["bpe"], layers=1, width=768, **shape)
    how = QuantizationConfig(scheme=scheme)
    made = export_run(run, tmp_path / "out", None, how, "compressed-tensors").manifest
    tensors: dict[str, int] = {}
    with safe_open(tmp_path / "out/model.safetensors", framework="pt") as file:
        tensors = {name: file.get_tensor(name).nbytes for name in file.keys()}  # noqa: SIM118
    maps = [name.removesuffix("_scale") for name in tensors if name.endswith("_scale")]
    stored = sum(size for name, size in tensors.items() if name.startswith(tuple(maps)))
    inner = 3 * 2048 if shape else 2 * 3072
    projected = 768 + 2 * 384 if shape else 3 * 768
    assert made.rounded is not None
    assert made.rounded.float32 == 4 * 768 * (projected + 768 + inner)
    assert made.rounded.stored == stored
    assert made.rounded.ratio >= least


def test_what_is_read_back_otherwise_leaves_nothing(
    make_run: Callable[..., Path],
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, how = make_run(trained_tokenizers["bpe"]), QuantizationConfig(scheme="w4")
    right = packed.compressed

    def wrongly(*arguments: Any) -> dict[str, torch.Tensor]:
        made = right(*arguments)
        name = next(name for name in made if name.endswith("weight_packed"))
        return {**made, name: made[name] ^ 8}  # another highest bit of a level

    monkeypatch.setattr(packed, "compressed", wrongly)
    with pytest.raises(TrainingError, match="loss differs from the run's by"):
        export_run(run, tmp_path / "here" / "out", None, how, "compressed-tensors")
    assert list((tmp_path / "here").iterdir()) == []


def test_the_last_screen_says_what_holds_the_model_and_why(
    make_run: Callable[..., Path],
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, out = make_run(trained_tokenizers["bpe"]), tmp_path / "out"
    words = ["export", str(run), str(out), "--scheme", "w4a8", "--format", "compressed-tensors"]
    assert run_command(main, words) == 0
    said = capsys.readouterr().out
    assert "GPTBigCodeForCausalLM (not GPT-2: transformers leaves packed maps" in said
    assert "; 4 bits lie in 8, as transformers loads no packed weights into it)" in said
    assert "a step for 32 inputs; inputs, 8 bits in training, rounded as in training" in said
    assert said.endswith(
        f"  transformers.GPTBigCodeForCausalLM.from_pretrained({str(out)!r})\n"
        f"  dslm hub import {out} {out}-imported\n"
    )
    assert run_command(main, ["export", str(run), f"{out}2", "--scheme", "w4a8"]) == 0
    assert (
        "inputs, 8 bits in training, as they are (loss with them rounded" in capsys.readouterr().out
    )
