"""What a checkpoint costs the training: written behind it, against the training waiting for it.

Both are saves of the same engine by the same `Checkpointer`, in turns. One waits until the
checkpoint is published; the other goes on with training steps meanwhile, and only the time within
the calls for saving counts: the copy to main memory, the looks after each step, the publishing.
"""

from __future__ import annotations

import json
import tempfile
import time
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

SHAPE = {"layers": 12, "heads": 12, "width": 768, "sequence": 64, "vocabulary": 50257}
ROUNDS = 5
STAGES = (0, 1)
WANTED = {0: "≤ 10 %", 1: "—"}
"""The bound on the time that the training waits, as a share of that of a save it waits for."""
DEEPSPEED: dict[str, Any] = {
    "train_micro_batch_size_per_gpu": 1,
    "gradient_accumulation_steps": 1,
    "steps_per_print": 10**9,
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-4, "torch_adam": True}},
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
    """Save in both ways in turns, where moments are whole on a rank and where they are gathered."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = small_shards(folder)
        for stage in STAGES:
            with redirect_output(folder / "deepspeed.log"):
                join(World())
                torch.set_num_threads(THREADS)
                job = _job(folder, shards, stage)
                trainer = Trainer(job)
            rows += _rows(trainer, stage)
        shutdown()
    setting = (
        f"{parameter_count(job.config.model) / 1e6:.0f} M parameters, AdamW, one CPU rank, a "
        f"checkpoint of {job.checkpoint_bytes / 1e9:.2f} GB; ours goes on training while it is "
        "written, the peer is the same save with the training waiting; median of "
        f"{ROUNDS} rounds, in brackets the least and the most"
    )
    return Table("Saving behind the training", setting, rows)


def _rows(trainer: Trainer, stage: int) -> list[Row]:
    """What a ZeRO stage's saves take."""
    contenders = {"background": trainer.background, "blocking": trainer.blocking}
    rates = alternate(contenders, ROUNDS, f"saving, ZeRO-{stage}")
    shares = [b / a for a, b in zip(rates["background"], rates["blocking"], strict=True)]
    ours, peer = (f"{1 / median(rates[name]):.2f} s" for name in contenders)
    beside, alone = median(trainer.beside), median(trainer.alone)
    spread = f"({100 * min(shares):.1f}–{100 * max(shares):.1f})"
    waits = f"the training waits for a checkpoint, ZeRO-{stage}"
    steps = f"a step while one is written, beside one without, ZeRO-{stage}"
    return [
        Row(waits, WANTED[stage], ours, peer, f"{100 * median(shares):.1f} % {spread}"),
        Row(steps, "—", f"{beside:.2f} s", f"{alone:.2f} s", f"{beside / alone:.2f}×"),
    ]


def _job(folder: Path, shards: Path, stage: int) -> Job:
    """What is trained, in a folder of its own."""
    config, run = folder / f"{stage}.json", folder / f"run {stage}"
    config.write_text(json.dumps({**DEEPSPEED, "zero_optimization": {"stage": stage}}))
    words = ["tiny", f"data.train={shards}", f"run={run}", "keep=1", "save_failures=1"]
    words += [f"model.{key}={value}" for key, value in SHAPE.items()]
    return prepare(words, None, str(config), World())
