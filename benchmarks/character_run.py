"""A whole run of the small character model against nanoGPT's: its steps, and what it learns.

Both are run as their users run them, as processes of their own: ours by ``launch/pretrain.py``,
nanoGPT by the ``train.py`` of a checkout with the settings its README gives for a CPU. Both read
the same tokens, with the same rates, and time their steps themselves; the first ones are left out.
The loss in the end is that of all of the held-out text, the last tenth.
"""

from __future__ import annotations

import importlib
import json
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median, stdev
from typing import NamedTuple

import numpy as np
import torch
from measure import Options, Rates, Row, Table, alternate, slowdown
from texts import corpus_files
from torch import Tensor

from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.shards.shard_set import ShardSet

LAUNCHER = Path(__file__).resolve().parent.parent / "launch" / "pretrain.py"
TEXT = 1_000_000
"""Bytes of the built-in corpus that are used without a text of the user's."""
BATCH, SEQUENCE = 12, 64
STEPS, WARM_UP = 2000, 100
"""Steps of a run, and over how many of them the rate rises; their time is not counted."""
SEEDS = 3
"""Runs of each, the seeds of which are 0 and so on."""
TIMEOUT = 900.0
"""Seconds after which a run is ended."""
DEEPSPEED = {
    "train_micro_batch_size_per_gpu": BATCH,
    "gradient_accumulation_steps": 1,
    "gradient_clipping": 1.0,
    "steps_per_print": 10**9,
    "optimizer": {
        "type": "AdamW",
        "params": {
            "lr": 1e-3,
            "betas": [0.9, 0.99],
            "weight_decay": 0.1,
            "torch_adam": True,
            "fused": True,
        },
    },
}
NANOGPT = {
    "dataset": "text",
    "device": "cpu",
    "compile": False,
    "wandb_log": False,
    "eval_interval": STEPS,  # when it writes its checkpoint
    "eval_iters": 1,
    "log_interval": 1,
    "block_size": SEQUENCE,
    "batch_size": BATCH,
    "gradient_accumulation_steps": 1,
    "n_layer": 4,
    "n_head": 4,
    "n_embd": 128,
    "dropout": 0.0,
    "bias": False,
    "learning_rate": 1e-3,
    "beta2": 0.99,
    "warmup_iters": WARM_UP,
    "lr_decay_iters": STEPS,
    "min_lr": 1e-4,
    "max_iters": STEPS,
    "out_dir": "out",
}


class Runs(NamedTuple):
    """What a contender's runs have found so far."""

    run: Callable[[int], tuple[float, float]]
    """Makes the run of a seed: steps a second, and the loss in the end."""
    losses: list[float]

    def next(self) -> float:
        """Make the run of the next seed; steps a second."""
        rate, loss = self.run(len(self.losses))
        self.losses.append(loss)
        return rate


def measure(options: Options) -> Table:
    """Run both in turns; without a checkout of nanoGPT only ours."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train, held_out = _shards(folder, options.text)
        contenders = {"dslm": Runs(partial(_ours, folder), [])}
        if options.nanogpt is not None:
            _as_nanogpt_reads_it(folder, options.nanogpt, train)
            one = partial(_nanogpt, folder, options.nanogpt, _windows(held_out))
            contenders["nanoGPT"] = Runs(one, [])
        turns = {name: runs.next for name, runs in contenders.items()}
        rates = alternate(turns, SEEDS, "character model", materialize_moments=0)
    setting = (
        f"4 layers, 4 heads, width 128, {BATCH} × {SEQUENCE} characters a step, vocabulary "
        f"{train.vocabulary}, float32; nanoGPT's train.py with the settings it gives for a CPU; "
        f"{STEPS:,} steps a run, {SEEDS} seeds; the time of a step is the median of a run, and the "
        "loss that of all windows of the last tenth of the text"
    )
    return Table("Character model, whole step", setting, _rows(rates, contenders))


def _rows(rates: Rates, contenders: Mapping[str, Runs]) -> list[Row]:
    ours = contenders["dslm"].losses
    step, loss = "a training step, loop and data included", "loss of held-out text"
    if "nanoGPT" not in contenders:
        time = f"{1e3 / median(rates['dslm']):.1f} ms"
        return [Row(step, "≤ 0.90×", time, "needs --nanogpt FOLDER"), Row(loss, "—", _spread(ours))]
    peer = contenders["nanoGPT"].losses
    return [
        slowdown(step, "≤ 0.90×", rates["dslm"], rates["nanoGPT"]),
        Row(loss, "≤ 1.000×", _spread(ours), _spread(peer), f"{mean(ours) / mean(peer):.3f}×"),
    ]


def _spread(losses: list[float]) -> str:
    return f"{mean(losses):.4f} ± {stdev(losses):.4f}"


def _shards(folder: Path, text: Path | None) -> tuple[ShardSet, ShardSet]:
    """Nine tenths of a text to learn from, and the last one."""
    files = [text] if text is not None else corpus_files(folder, TEXT)
    whole = "".join(file.read_text(encoding="utf-8") for file in files)
    border = int(0.9 * len(whole))
    for name, part in (("train", whole[:border]), ("held_out", whole[border:])):
        (folder / f"{name}.txt").write_text(part, encoding="utf-8")
    every = [folder / "train.txt", folder / "held_out.txt"]
    train_tokenizer(every, folder / "tokenizer", TokenizerConfig("char", None))
    tokenized = ShardingConfig(folder / "tokenizer")
    train, held_out = (shard([file], file.with_suffix(""), tokenized)[0] for file in every)
    return train, held_out


def _windows(shards: ShardSet) -> Tensor:
    """[N, 1 + S]: a text cut as a validation of ours cuts it."""
    starts = np.arange(0, shards.tokens - SEQUENCE, SEQUENCE)
    return torch.from_numpy(shards.windows(starts, SEQUENCE + 1).astype(np.int64))


def _ours(folder: Path, seed: int) -> tuple[float, float]:
    """Run `launch/pretrain.py` once."""
    config, output = folder / "deepspeed.json", folder / f"run-{seed}"
    config.write_text(json.dumps(DEEPSPEED))
    words = [f"data.train={folder / 'train'}", f"data.validation={folder / 'held_out'}"]
    words += [f"run={output}", f"seed={seed}", f"steps={STEPS}", f"evaluation_interval={STEPS}"]
    words += [f"schedule.warmup_steps={WARM_UP}", f"checkpoint_interval={STEPS}"]
    _process([LAUNCHER, "shakespeare_char", f"--deepspeed_config={config}", *words], folder)
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    rates = [line["tokens_per_second"] for line in lines if "learning_rate" in line]
    losses = [line["validation_loss"] for line in lines if "validation_loss" in line]
    per_line = STEPS // len(rates)
    return median(rates[WARM_UP // per_line :]) / (BATCH * SEQUENCE), losses[-1]


def _as_nanogpt_reads_it(folder: Path, checkout: Path, shards: ShardSet) -> None:
    data = folder / "data" / "text"
    data.mkdir(parents=True)
    tokens = shards.windows(np.array([0]), shards.tokens)[0]
    for name in ("train.bin", "val.bin"):
        tokens.tofile(data / name)
    (data / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": shards.vocabulary}))
    shutil.copy(checkout / "configurator.py", folder)  # which train.py opens where it is run
    shutil.copy(checkout / "model.py", folder)


def _nanogpt(folder: Path, checkout: Path, held_out: Tensor, seed: int) -> tuple[float, float]:
    """Run nanoGPT's `train.py` once, with a seed of its own."""
    script = (checkout / "train.py").read_text(encoding="utf-8")
    (folder / "train.py").write_text(script.replace("1337", str(1337 + seed)), encoding="utf-8")
    words = [f"--{key}={value}" for key, value in NANOGPT.items()]
    output = _process([folder / "train.py", *words], folder)
    times = re.findall(r"^iter \d+: .* time ([\d.]+)ms", output, flags=re.MULTILINE)
    sys.path.insert(0, str(folder))
    model = importlib.import_module("model")
    saved = torch.load(folder / "out" / "ckpt.pt", weights_only=True)
    gpt = model.GPT(model.GPTConfig(**saved["model_args"])).eval()
    gpt.load_state_dict(saved["model"])
    with torch.no_grad():
        losses = [len(part) * gpt(part[:, :-1], part[:, 1:])[1] for part in held_out.split(512)]
    return 1e3 / median(map(float, times[WARM_UP:])), float(sum(losses)) / len(held_out)


def _process(words: Sequence[str | Path], folder: Path) -> str:
    """Run a script to its end; what it printed."""
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True, timeout=TIMEOUT
    )
    return done.stdout
