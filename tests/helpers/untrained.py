"""Folders of runs written without DeepSpeed: of a model that has learned nothing, or a little."""

from __future__ import annotations

from pathlib import Path

import torch

from dslm.environment import World
from dslm.model.quantize import quantize
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.run.checkpoint import layer_file, read_weights
from dslm.run.checkpoint_writer import Writer
from dslm.sampling.stream import ordered
from dslm.shards.shard_set import ShardSet
from dslm.train.batches import evaluation_rows
from dslm.train.prepare import Job, prepare

SMALL = {"model.width": 32, "model.heads": 2, "model.sequence": 24}
"""What is not said otherwise."""


def untrained_run(
    folder: Path, shard_set: Path, deepspeed_file: Path, *more: str, factor: float = 1.0
) -> Path:
    """A run of an untrained model, its weights times a factor, with one checkpoint."""
    layers = [] if any(word.startswith("model.layers=") for word in more) else ["model.layers=1"]
    words = ["tiny", *layers, "model.width=16", *more]
    job = _begun(folder, shard_set, deepspeed_file, words)
    return _written(job, Transformer(stages(job.config.model, seed=5)), factor)


def learned_run(
    folder: Path,
    shard_set: Path,
    deepspeed_file: Path,
    *more: str,
    preset: str = "tiny",
    steps: int = 100,
    rate: float = 1e-2,
) -> Path:
    """A run of a model that has seen some batches of a shard set, with one checkpoint.

    It begins and rounds as the settings say.
    """
    words = [preset, "model.layers=2", *more]
    job = _begun(folder, shard_set, deepspeed_file, words)
    objective = job.objective
    model = Transformer(stages(job.config.model, 5, objective.extras))
    if job.init_from is not None:
        model.layers.load_state_dict(read_weights(job.init_from.checkpoint))
    quantize(model, job.config.quantization)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    source = evaluation_rows(ShardSet.open(shard_set), objective)
    for step in range(steps):
        inputs, labels = objective.batch(ordered(source, step * 16 % (len(source) - 16), 16))
        loss = objective.loss(model(inputs), labels) / objective.counts(labels)
        loss.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return _written(job, model)


def _begun(folder: Path, shard_set: Path, deepspeed_file: Path, words: list[str]) -> Job:
    """A run folder without a checkpoint."""
    given = {word.partition("=")[0] for word in words}
    words = [*words, *(f"{key}={value}" for key, value in SMALL.items() if key not in given)]
    words += [f"data.train={shard_set}", f"run={folder}"]
    job = prepare(words, None, str(deepspeed_file), World())
    job.folder.path.mkdir()
    job.folder.write_record({"format": 1, "config": job.settings, "data": job.sources.record()})
    job.folder.tokenizer.symlink_to(ShardSet.open(shard_set).tokenizer)
    return job


def _written(job: Job, model: Transformer, factor: float = 1.0) -> Path:
    """Write a checkpoint of a model, its weights times a factor."""
    writer, files = Writer(job.folder.checkpoints, 7), {}
    writer.begin()
    for place, layer in model.layers.items():
        named = layer.named_parameters()
        tensors = {f"{place}.{name}": weight.detach() * factor for name, weight in named}
        if tensors:
            name = layer_file(int(place), False)
            files[name] = writer.write(name, tensors)
    writer.publish(files, {"step": 7, "samples": 0, "optimizer_steps": 7, "loss_scale": {}})
    return job.folder.path
