"""The folder of a run whose model has learned nothing, written without DeepSpeed."""

from __future__ import annotations

from pathlib import Path

from dslm.environment import World
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.run.checkpoint import layer_file
from dslm.run.checkpoint_writer import Writer
from dslm.shards.shard_set import ShardSet
from dslm.train.prepare import prepare


def untrained_run(
    folder: Path, shard_set: Path, deepspeed_file: Path, *more: str, factor: float = 1.0
) -> Path:
    """A run of an untrained model, its weights times a factor, with one checkpoint."""
    words = ["tiny", "model.layers=1", "model.width=16", "model.heads=2", "model.sequence=24"]
    words += [f"data.train={shard_set}", f"run={folder}", *more]
    job = prepare(words, None, str(deepspeed_file), World())
    job.folder.path.mkdir()
    job.folder.write_record({"format": 1, "config": job.settings, "data": job.sources.record()})
    job.folder.tokenizer.symlink_to(ShardSet.open(shard_set).tokenizer)
    model = Transformer(stages(job.config.model, seed=5))
    writer, files = Writer(job.folder.checkpoints, 7), {}
    writer.begin()
    for place, layer in model.layers.items():
        tensors = {f"{place}.{name}": weight * factor for name, weight in layer.named_parameters()}
        if tensors:
            name = layer_file(int(place), False)
            files[name] = writer.write(name, tensors)
    writer.publish(files, {"step": 7, "samples": 0, "optimizer_steps": 7, "loss_scale": {}})
    return job.folder.path
