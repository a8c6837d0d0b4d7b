"""What the engine costs: our ZeRO engine on one rank against a plain torch loop.

Both train the same model from the same weights on the same batches with the same optimizer, in one
process, and their losses are compared: an engine that computes something else would win nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measure import THREADS, Options, Row, Table, alternate, slowdown, timed
from torch import Tensor, nn
from torch.nn import functional

from dslm.environment import World
from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.model.stages import drawn, stages
from dslm.model.transformer import Transformer
from dslm.objectives.base import Context
from dslm.objectives.batch import Batch
from dslm.objectives.cross_entropy import cross_entropy
from dslm.parallel.layout import create
from dslm.parallel.optimizers import parameter_groups
from dslm.parallel.plan import make_plan
from dslm.parallel.state import TrainingState
from dslm.parallel.world import join, shutdown
from dslm.tasks.registry import ObjectiveConfig, make_objective
from dslm.tokenizers.vocabulary import Vocabulary
from dslm.train.output import redirect_output

SHAPE = ModelConfig(layers=6, heads=5, width=320, sequence=256, vocabulary=8000)
OBJECTIVE = make_objective(
    ObjectiveConfig(), Context(SHAPE.sequence, 0, False, Vocabulary(SHAPE.size, {}, Path()))
)
BATCH = 4
ROUNDS = 15
STEPS = 2
"""Optimizer steps of a round."""
WANTED = {0: "—", 1: "≤ 1.15×", 2: "≤ 1.15×", 3: "≤ 1.30×"}
"""The bound on the slowdown for each ZeRO stage."""
AGREE = 1e-4
"""Relative difference of two losses from which the comparison is worth nothing."""
ADAMW: dict[str, Any] = {"lr": 3e-4, "betas": [0.9, 0.95], "weight_decay": 0.1}
CONFIG: dict[str, Any] = {
    "train_micro_batch_size_per_gpu": BATCH,
    "gradient_accumulation_steps": 1,
    "gradient_clipping": 1.0,
    "steps_per_print": 10**9,
    "optimizer": {"type": "AdamW", "params": {**ADAMW, "torch_adam": True, "fused": True}},
}

Step = Callable[[Batch], Tensor]
"""Trains on one batch; its loss."""


class Runner:
    """A contender: its steps, and the losses they gave.

    DeepSpeed replaces torch's linear function for the whole process when it prepares ZeRO-3, so
    each contender brings back the one that it was built with.
    """

    def __init__(self, step: Step) -> None:
        self.step, self.linear = step, functional.linear
        self.losses: list[Tensor] = []

    def round(self) -> None:
        """Make the next steps."""
        functional.linear = self.linear
        for _ in range(STEPS):
            self.losses.append(self.step(_batch(len(self.losses))))


def measure(options: Options) -> Table:
    """Time steps of the plain loop and of every ZeRO stage in turns."""
    with tempfile.TemporaryDirectory() as folder:
        with redirect_output(Path(folder) / "deepspeed.log"):
            join(World())
            torch.set_num_threads(THREADS)
            runners = {"plain": Runner(_plain())}
            runners |= {f"ZeRO-{stage}": Runner(_engine(stage)) for stage in WANTED}
        works = {name: timed(runner.round, STEPS) for name, runner in runners.items()}
        rates = alternate(works, ROUNDS, "engine")
        shutdown()
    apart = _largest_difference(runners)
    assert apart < AGREE, f"the engines do not train as the plain loop does: {apart}"
    rows = [
        slowdown(f"a step under ZeRO-{stage}", wanted, rates[f"ZeRO-{stage}"], rates["plain"])
        for stage, wanted in WANTED.items()
    ]
    steps = len(runners["plain"].losses)
    claim = f"largest relative difference of the losses of {steps} steps"
    rows.append(Row(claim, f"< {AGREE:.0e}", f"{apart:.0e}"))
    setting = (
        f"{parameter_count(SHAPE) / 1e6:.1f} M parameters, {BATCH} × {SHAPE.sequence} tokens a "
        f"step, float32, one rank, fused AdamW and clipping; plain torch loop over the same "
        f"model; median of {ROUNDS} rounds"
    )
    return Table("Engine overhead", setting, rows)


def _plain() -> Step:
    """The loop that anyone would write without DeepSpeed."""
    model = Transformer(stages(SHAPE, seed=0))
    groups = parameter_groups(model, CONFIG)
    optimizer = torch.optim.AdamW(groups, **ADAMW, fused=True)

    def step(batch: Batch) -> Tensor:
        inputs, labels = batch
        loss = cross_entropy(model(inputs), labels) / labels.numel()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), CONFIG["gradient_clipping"])
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step


def _engine(stage: int) -> Step:
    """Our engine at a ZeRO stage."""
    config = {**CONFIG, "zero_optimization": {"stage": stage}}
    plan, problems = make_plan(config, world=1, pipeline_stages=1, sequence=SHAPE.sequence)
    assert plan is not None, problems
    layers = stages(SHAPE, seed=0)
    engine = create(layers, plan, config, OBJECTIVE)
    TrainingState(engine, config).fill(engine.parameters(), drawn(layers), moments=False)
    return lambda batch: engine.train_batch(iter([batch]))


def _batch(number: int) -> Batch:
    """The batch of a step, the same for every contender."""
    draw = torch.Generator().manual_seed(number)
    rows = torch.randint(SHAPE.size, (BATCH, SHAPE.sequence + 1), generator=draw)
    return rows[:, :-1], rows[:, 1:]


def _largest_difference(runners: dict[str, Runner]) -> float:
    """Between any loss and the plain loop's of the same step, relative."""
    losses = {name: torch.stack(runner.losses) for name, runner in runners.items()}
    plain = losses["plain"]
    return max(float(((own - plain) / plain).abs().max()) for own in losses.values())
