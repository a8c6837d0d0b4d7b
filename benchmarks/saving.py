"""What a checkpoint costs the training: written behind it, against the training waiting for it.

Both are saves of the same engine by the same `Checkpointer`, in turns. One waits until the
checkpoint is published; the other goes on with training steps meanwhile, and only the time within
the calls for saving counts: the copy to main memory, the looks after each step, the publishing.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch
from measure import THREADS, Options, Row, Table, alternate
from texts import small_shards

from dslm.environment import World
from dslm.model.counts import parameter_count
from dslm.model.stages import drawn, stages
from dslm.parallel.layout import create
from dslm.parallel.world import join, shutdown
from dslm.train.batches import training_batch
from dslm.train.checkpointer import Checkpointer
from dslm.train.output import redirect_output
from dslm.train.prepare import Job, prepare
from dslm.train.record import RunRecord

SHAPE = {"layers": 12, "heads": 12, "width": 768, "sequence": 128, "vocabulary": 50257}
ROUNDS = 5
WANTED = "≤ 10 %"
DEEPSPEED: dict[str, Any] = {
    "train_micro_batch_size_per_gpu": 1,
    "gradient_accumulation_steps": 1,
    "steps_per_print": 10**9,
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-4, "torch_adam": True}},
    "zero_optimization": {"stage": 1},
}


class Trainer:
    """Trains and saves; its contenders return saves a second of the training's time."""

    def __init__(self, job: Job) -> None:
        self.job, world = job, World()
        layers = stages(job.config.model, seed=0)
        self.engine = create(layers, job.plan, job.deepspeed, job.objective)
        record = RunRecord(job, world, ["saving"])
        self.saver = Checkpointer(self.engine, job, len(layers), record)
        self.saver.begin(drawn(layers))
        record.write("running")
        self.made = 0
        self.beside: list[float] = []
        """Seconds of the steps made while a checkpoint was written…"""
        self.alone: list[float] = []
        """… and of others."""
        self.step(self.alone)
        self.alone.clear()

    def step(self, times: list[float]) -> None:
        """Make a training step."""
        began = time.perf_counter()
        job = self.job
        self.engine.train_batch(
            training_batch(job.stream, job.plan, job.objective, self.made, 0, "cpu", False)
        )
        self.made += 1
        times.append(time.perf_counter() - began)

    def blocking(self) -> float:
        """Save, and wait for it."""
        began = time.perf_counter()
        self.saver.save(self.made, self.made)
        self.saver.finish()
        waited = time.perf_counter() - began
        self.step(self.alone)
        return 1 / waited

    def background(self) -> float:
        """Save while training goes on."""
        published, waited = self.job.folder.checkpoint(self.made), 0.0
        began = time.perf_counter()
        self.saver.save(self.made, self.made)
        waited += time.perf_counter() - began
        while not published.exists():
            self.step(self.beside)
            began = time.perf_counter()
            self.saver.publish_if_written()
            waited += time.perf_counter() - began
        return 1 / waited


def measure(options: Options) -> Table:
    """Save in both ways in turns."""
    with tempfile.TemporaryDirectory() as name, _trainer(Path(name)) as trainer:
        size = trainer.job.checkpoint_bytes
        rates = alternate(
            {"background": trainer.background, "blocking": trainer.blocking}, ROUNDS, "saving"
        )
        count = parameter_count(trainer.job.config.model)
    shares = [b / a for a, b in zip(rates["background"], rates["blocking"], strict=True)]
    seconds = {name: median(1 / rate for rate in found) for name, found in rates.items()}
    beside, alone = median(trainer.beside), median(trainer.alone)
    rows = [
        Row(
            "seconds that the training waits for a checkpoint",
            WANTED,
            f"{seconds['background']:.2f} s",
            f"{seconds['blocking']:.2f} s",
            f"{100 * median(shares):.1f} % ({100 * min(shares):.1f}–{100 * max(shares):.1f})",
        ),
        Row(
            "a step of 128 tokens while one is written, beside one without",
            "—",
            f"{beside:.2f} s",
            f"{alone:.2f} s",
            f"{beside / alone:.2f}×",
        ),
    ]
    setting = (
        f"{count / 1e6:.0f} M parameters, AdamW, ZeRO-1 on one CPU rank, a checkpoint of "
        f"{size / 1e9:.2f} GB; ours goes on training while it is written, the peer is the same "
        f"save with the training waiting; median of {ROUNDS} rounds, in brackets the least and "
        "the most"
    )
    return Table("Saving behind the training", setting, rows)


@contextmanager
def _trainer(folder: Path) -> Iterator[Trainer]:
    config = folder / "deepspeed.json"
    config.write_text(json.dumps(DEEPSPEED))
    words = [
        "tiny",
        f"data.train={small_shards(folder)}",
        f"run={folder / 'run'}",
        "keep=1",
        "save_failures=1",
    ]
    words += [f"model.{key}={value}" for key, value in SHAPE.items()]
    with redirect_output(folder / "deepspeed.log"):
        join(World())
        torch.set_num_threads(THREADS)
        trainer = Trainer(prepare(words, None, str(config), World()))
    yield trainer
    shutdown()
