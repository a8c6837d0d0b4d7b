"""What the device waits for between two steps: batches made a step ahead against made when needed.

Both are the training loop itself, in turns. The time is from the end of a step to the beginning of
the next one's forward pass, on a GPU by its own clock, so that what the host does meanwhile counts
only where the GPU has nothing left to do.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from measure import THREADS, Options, Row, Table, alternate
from texts import small_shards

from dslm.environment import World, read_world
from dslm.objectives.batch import Batch
from dslm.parallel.world import join, shutdown
from dslm.train.ahead import BatchesAhead
from dslm.train.loop import Loop
from dslm.train.output import redirect_output
from dslm.train.prepare import prepare
from dslm.train.profile import new_loop

ROUNDS, STEPS = 7, 12
"""Rounds of the comparison, and steps a round, of which none is logged or saved."""
SHAPES = {
    "cpu": "model.layers=2 model.heads=4 model.width=256 model.sequence=128",
    "cuda": "model.layers=12 model.heads=12 model.width=768 model.sequence=1024",
}
MICRO = {"cpu": 8, "cuda": 16}
WANTED = "≤ 2 %"
DEEPSPEED: dict[str, Any] = {
    "gradient_accumulation_steps": 1,
    "gradient_clipping": 1.0,
    "steps_per_print": 10**9,
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-4, "torch_adam": True, "fused": True}},
}


class Late(BatchesAhead):
    """Makes each step when it is needed."""

    def begin(self, first: int) -> None:
        """Nothing is begun ahead."""

    def batches(self, first: int) -> list[Batch]:
        """Made now."""
        self.forget()
        super().begin(first)
        return super().batches(first)


class Clock:
    """When steps begin and end, by the device."""

    def __init__(self, device: str) -> None:
        self.cuda = device != "cpu"
        self.times: list[Any] = []

    def stamp(self) -> None:
        """Note the time at which the device comes to this."""
        if not self.cuda:
            self.times.append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self.times.append(event)

    def between(self) -> float:
        """The share of the time that is between steps, of the stamps so far."""
        if self.cuda:
            torch.cuda.synchronize()
        spans = [self._seconds(*pair) for pair in zip(self.times, self.times[1:], strict=False)]
        self.times.clear()
        return sum(spans[1::2]) / sum(spans)

    def _seconds(self, first: Any, last: Any) -> float:
        return first.elapsed_time(last) / 1e3 if self.cuda else last - first


def measure(options: Options) -> Table:
    """Train in both ways in turns."""
    world = read_world()
    kind = "cpu" if world.cpu else "cuda"
    shares: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = small_shards(folder)
        with redirect_output(folder / "deepspeed.log") as (_, messages):
            join(world)
            torch.set_num_threads(THREADS)
            loops = {one: _loop(folder, shards, world, one, messages) for one in ("ahead", "late")}
        loops["late"].ahead = Late(loops["late"].made_batch, loops["late"].device)
        works = {one: _work(loop) for one, loop in loops.items()}
        with loops["ahead"].ahead.running(), loops["late"].ahead.running():
            shares = alternate(works, ROUNDS, "between steps", materialize_moments=2)
        shutdown()
    rows = [
        Row(
            "between two steps, of the time of both",
            WANTED,
            *(f"{100 * median(shares[one]):.2f} %" for one in ("ahead", "late")),
        )
    ]
    setting = (
        f"{SHAPES[kind].replace('model.', '')}, {MICRO[kind]} rows a step, ZeRO-0, float32, one "
        f"{'CPU' if world.cpu else 'GPU'} rank; the peer makes each batch when it is needed; "
        f"median of {ROUNDS} rounds of {STEPS} steps"
    )
    return Table("Between two steps", setting, rows)


def _loop(folder: Path, shards: Path, world: World, name: str, messages: Any) -> Loop:
    kind = "cpu" if world.cpu else "cuda"
    config = folder / f"{name}.json"
    micro = {"train_micro_batch_size_per_gpu": MICRO[kind]}
    config.write_text(json.dumps({**DEEPSPEED, **micro}))
    words = ["tiny", f"data.train={shards}", f"run={folder / name}", *SHAPES[kind].split()]
    words += ["steps=100000", "log_interval=100000", "checkpoint_interval=100000"]
    return new_loop(prepare(words, None, str(config), world), world, words, messages)


def _work(loop: Loop) -> Callable[[], float]:
    """Makes the steps of a round; gives the share of their time that is between them."""
    clock, plain = Clock(loop.device), loop.engine.train_batch

    def train_batch(batches: Any) -> Any:
        clock.stamp()
        loss = plain(batches)
        clock.stamp()
        return loss

    loop.engine.train_batch = train_batch  # type: ignore[method-assign]

    def work() -> float:
        for _ in range(STEPS):
            loss = loop.train_step()
            position = loop.position
            loop.watch.step(position.step, position.samples, loss, wait=False)
            loop.engine.stop.reason()
        return clock.between()

    return work
