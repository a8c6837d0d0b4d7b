"""Run folders with tiny checkpoints, written by the library's own writer, and damaged ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dslm.run.best import Measured, write_measured
from dslm.run.checkpoint import checkpoint_folder, layer_file
from dslm.run.checkpoint_writer import Writer

PLAN = {"world": 2, "pipeline_stages": 1, "zero_stage": 1, "sequence": 8}
MEASURED = write_measured(Measured(8.5, "data", 4))
"""What the checkpoint of step 20 says of the validation loss."""
LAYER = layer_file(2, moments=False)


def weights(step: int) -> dict[str, Tensor]:
    """Two weights of two layers and the moments of one of them, other ones at each step."""
    return {
        "0.embedding.weight": torch.arange(6.0).reshape(2, 3),
        "2.attention.weight": torch.full((3, 4), float(step)),
        "2.attention.weight#exp_avg": torch.full((3, 4), step / 10),
    }


def save(
    root: Path,
    step: int,
    tensors: Mapping[str, Tensor] | None = None,
    measured: Measured | None = None,
    **record: Any,
) -> Path:
    """Write a checkpoint into a folder of them, with a copy of the record if one is given."""
    writer = Writer(root, step)
    writer.begin()
    files: dict[str, dict[str, Tensor]] = {}
    for name, tensor in (weights(step) if tensors is None else tensors).items():
        file = layer_file(int(name.partition(".")[0]), moments="#" in name)
        files.setdefault(file, {})[name] = tensor
    written = {name: writer.write(name, content) for name, content in files.items()}
    state = {"step": step, "samples": 16 * step, **(MEASURED if step == 20 else {})}
    state |= write_measured(measured)
    writer.publish(written, state, record or None)
    return writer.final


def make_run(run: Path, *steps: int, **config: Any) -> Path:
    """A run with checkpoints of some steps, which logged every tenth step until the last of them.

    Args:
        run: the folder.
        steps: of its checkpoints.
        config: what its settings hold.
    """
    record = {
        "format": 1,
        "status": "done",
        "ended": "all steps made",
        "command": ["python", "launch/pretrain.py", "tiny", "fresh=true", "run=my run"],
        "versions": {"dslm": "0.1.0"},
        "plan": PLAN,
        "config": config,
    }
    run.mkdir(exist_ok=True)
    (run / "run.json").write_text(json.dumps(record))
    for step in steps:
        save(run / "checkpoints", step, **record)
    lines = [
        {"step": step, "loss": 10 - step / 10} for step in range(10, max(steps, default=0) + 1, 10)
    ]
    lines += [{"step": 20, "validation_loss": 8.5}] if lines else []
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def truncate(run: Path, step: int) -> Path:
    """Cut the last byte off a file of weights; returns the file."""
    file = checkpoint_folder(run / "checkpoints", step) / LAYER
    file.write_bytes(file.read_bytes()[:-1])
    return file


def flip(run: Path, step: int) -> Path:
    """Change a byte of a file of weights, whose size stays; returns the file."""
    file = checkpoint_folder(run / "checkpoints", step) / LAYER
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    return file


def lose(run: Path, step: int) -> Path:
    """Remove a file of weights; returns its path."""
    file = checkpoint_folder(run / "checkpoints", step) / LAYER
    file.unlink()
    return file


def cut_manifest(run: Path, step: int) -> Path:
    """Leave half of a manifest; returns its path."""
    file = checkpoint_folder(run / "checkpoints", step) / "manifest.json"
    file.write_bytes(file.read_bytes()[:100])
    return file
