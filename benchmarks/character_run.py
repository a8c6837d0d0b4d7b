"""A whole training step of the small character model, loop and data included, against nanoGPT's.

Both are run as their users run them, as processes of their own: ours by ``launch/pretrain.py``,
nanoGPT by the ``train.py`` of a checkout with the settings its README gives for a CPU. Both read
the same tokens and time their steps themselves; the first ones are left out.
"""

from __future__ import annotations

import itertools
import json
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from measure import Options, Row, Table, alternate, slowdown
from texts import corpus_files

from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.shards.shard_set import ShardSet

LAUNCHER = Path(__file__).resolve().parent.parent / "launch" / "pretrain.py"
TEXT = 1_000_000
"""Bytes of the built-in corpus that are used without a text of the user's."""
BATCH, SEQUENCE = 12, 64
STEPS, WARM_UP = 300, 50
"""Steps of a run, and how many of them are not counted."""
ROUNDS = 3
TIMEOUT = 300.0
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
    "eval_interval": 10**9,
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
    "warmup_iters": 100,
    "lr_decay_iters": STEPS,
    "max_iters": STEPS,
}


def measure(options: Options) -> Table:
    """Run both in turns; without a checkout of nanoGPT only ours."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = _shards(folder, options.text)
        contenders = {"dslm": _ours(folder)}
        if options.nanogpt is not None:
            contenders["nanoGPT"] = _nanogpt(folder, options.nanogpt, shards)
        rates = alternate(contenders, ROUNDS, "character model", materialize_moments=0)
    setting = (
        f"4 layers, 4 heads, width 128, {BATCH} × {SEQUENCE} characters a step, vocabulary "
        f"{shards.vocabulary}, float32; nanoGPT's train.py with the settings it gives for a CPU; "
        f"{STEPS - WARM_UP} steps a run, median of {ROUNDS} runs"
    )
    return Table("Character model, whole step", setting, [_row(rates)])


def _row(rates: dict[str, list[float]]) -> Row:
    claim, wanted = "a training step, loop and data included", "≤ 1.00×"
    if "nanoGPT" in rates:
        return slowdown(claim, wanted, rates["dslm"], rates["nanoGPT"])
    return Row(claim, wanted, f"{1e3 / median(rates['dslm']):.1f} ms", "needs --nanogpt FOLDER")


def _shards(folder: Path, text: Path | None) -> ShardSet:
    files = [text] if text is not None else corpus_files(folder, TEXT)
    train_tokenizer(files, folder / "tokenizer", TokenizerConfig("char", None))
    return shard(files, folder / "shards", ShardingConfig(folder / "tokenizer"))[0]


def _ours(folder: Path) -> Callable[[], float]:
    """Runs `launch/pretrain.py` once; steps a second."""
    config = folder / "deepspeed.json"
    config.write_text(json.dumps(DEEPSPEED))
    numbers = itertools.count()

    def run() -> float:
        output = folder / f"run-{next(numbers)}"
        words = [f"data.train={folder / 'shards'}", f"run={output}", f"steps={STEPS}"]
        _process([LAUNCHER, "shakespeare_char", f"--deepspeed_config={config}", *words], folder)
        lines = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
        rates: list[float] = [line["tokens_per_second"] for line in lines if line["step"] > WARM_UP]
        return median(rates) / (BATCH * SEQUENCE)

    return run


def _nanogpt(folder: Path, checkout: Path, shards: ShardSet) -> Callable[[], float]:
    """Runs nanoGPT's `train.py` once on the same tokens; steps a second."""
    data = folder / "data" / "text"
    data.mkdir(parents=True)
    tokens = shards.windows(np.array([0]), shards.tokens)[0]
    for name in ("train.bin", "val.bin"):
        tokens.tofile(data / name)
    (data / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": shards.vocabulary}))
    shutil.copy(checkout / "configurator.py", folder)  # which train.py opens where it is run
    words = [f"--{key}={value}" for key, value in NANOGPT.items()]

    def run() -> float:
        output = _process([checkout.absolute() / "train.py", *words], folder)
        times = re.findall(r"^iter \d+: .* time ([\d.]+)ms", output, flags=re.MULTILINE)
        return 1e3 / median(map(float, times[WARM_UP:]))

    return run


def _process(words: Sequence[str | Path], folder: Path) -> str:
    """Run a script to its end; what it printed."""
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True, timeout=TIMEOUT
    )
    return done.stdout
