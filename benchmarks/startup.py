"""Seconds from the command to the end of the first training step, beside transformers' Trainer.

Whole commands, as they are typed, in turns: Python, imports, checks, the ranks meeting each other,
the model, one step. Ours is timed until the line of its first step is printed, the Trainer until
its callback is told of the end of the first step; both train a Transformer of the same shape.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from measure import Contender, Options, Row, Table, alternate, ratio
from texts import small_shards

from dslm.environment import free_port
from dslm.errors import Problem, SetupError

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
ROUNDS = 3
RANKS = 2
FIRST_STEP = "step 1/"
DEEPSPEED = ROOT / "ds_configs" / "zero1_fp32.json"
SHAPE = {"layers": 2, "heads": 4, "width": 128, "sequence": 128}

TRAINER = """\
import sys
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

class Told(TrainerCallback):
    def on_step_end(self, args, state, control, **more):
        if state.is_world_process_zero:
            print("step 1/", flush=True)
        control.should_training_stop = True

shape = GPT2Config(vocab_size=512, n_positions=128, n_embd=128, n_layer=2, n_head=4)
rows = [{"input_ids": row, "labels": row} for row in torch.randint(512, (64, 128))]
options = TrainingArguments(
    sys.argv[1], per_device_train_batch_size=8, max_steps=1, use_cpu=True, report_to=[],
    save_strategy="no",
)
Trainer(GPT2LMHeadModel(shape), options, train_dataset=rows, callbacks=[Told()]).train()
"""


def measure(options: Options) -> Table:
    """Start each command a few times."""
    if find_spec("accelerate") is None:
        rule, fix = "is needed by transformers' Trainer", "pip install accelerate"
        raise SetupError(Problem("accelerate", None, rule, fix))
    with tempfile.TemporaryDirectory() as folder:
        commands = _commands(Path(folder), small_shards(Path(folder)))
        contenders = {name: _starts(name, command) for name, command in commands.items()}
        rates = alternate(contenders, ROUNDS, "starting", materialize_moments=1)
    rows = []
    for claim, ours, wanted in (
        ("1 rank, python", "ours", "≤ 4 s"),
        (f"{RANKS} ranks, deepspeed", "ours by deepspeed", "≤ 10 s"),
        (f"{RANKS} ranks, torchrun", "ours by torchrun", "—"),
    ):
        peer = "trainer" if ours == "ours" else "trainer by torchrun"
        seconds = [1 / median(rates[one]) for one in (ours, peer)]
        own, other = (f"{number:.1f} s" for number in seconds)
        times = f"{ratio(rates[peer], rates[ours]):.2f}×"
        rows.append(Row(f"{claim}: to the end of step 1", wanted, own, other, times))
    setting = (
        f"{SHAPE['layers']} layers of width {SHAPE['width']}, 8 × 128 tokens a rank; the peer is "
        f"transformers' Trainer, by python and by torchrun; median of {ROUNDS} rounds; wanted are "
        "seconds of ours."
    )
    return Table("Seconds to the first step", setting, rows)


def _commands(folder: Path, shards: Path) -> dict[str, list[str]]:
    script, trainer = str(ROOT / "launch" / "pretrain.py"), folder / "trainer.py"
    trainer.write_text(TRAINER)
    words = ["tiny", "--deepspeed_config", str(DEEPSPEED), f"data.train={shards}", "steps=1"]
    words += [f"model.{key}={value}" for key, value in SHAPE.items()]
    words += [f"run={folder}/run", "fresh=true"]
    deepspeed = [str(PROGRAMS / "deepspeed"), "--quiet", "--num_gpus", str(RANKS)]
    torchrun = [str(PROGRAMS / "torchrun"), "--nproc_per_node", str(RANKS)]
    return {
        "ours": [sys.executable, script, *words],
        "ours by deepspeed": [*deepspeed, script, *words],
        "ours by torchrun": [*torchrun, script, *words],
        "trainer": [sys.executable, str(trainer), str(folder / "trained")],
        "trainer by torchrun": [*torchrun, str(trainer), str(folder / "trained")],
    }


def _starts(name: str, command: Sequence[str]) -> Contender:
    """Starts a command; the rate is one over the seconds until its first step."""

    def rate() -> float:
        words = list(command)
        where = next(n for n, word in enumerate(words) if word.endswith(".py"))
        if "by" in name:
            words.insert(where, str(free_port()))
            words.insert(where, "--master_port")
        with tempfile.TemporaryDirectory() as folder:
            words = [f"run={folder}/run" if word.startswith("run=") else word for word in words]
            environment = {**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
            began = time.perf_counter()
            process = subprocess.Popen(
                words,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert process.stdout is not None
            lines, seconds = [], None
            for line in process.stdout:
                lines.append(line)
                if seconds is None and FIRST_STEP in line:
                    seconds = time.perf_counter() - began
            failed = process.wait(timeout=120)  # the Trainer's ranks may abort as they leave
            if seconds is None or (failed and "ours" in name):
                raise RuntimeError(f"{json.dumps(words)}\n{''.join(lines[-20:])}")
            return 1 / seconds

    return rate
