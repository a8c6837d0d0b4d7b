"""Whether the objectives that restore a text learn to: held-out text before and after training.

Some novels become a tokenizer and a shard set, another one is held out; each
objective trains by ``launch/pretrain.py`` on one rank; its accuracy on held-out rows at the end is
what the run measured itself, that at step 0 is measured on the same rows with the weights that the
run began with. The peer always says the likeliest token.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from measure import Options, Row, Table

from dslm.environment import World
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.batch import IGNORE
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.progress import Progress
from dslm.train.batches import evaluation_rows, validation_batches
from dslm.train.prepare import prepare

LAUNCHER = Path(__file__).resolve().parent.parent / "launch" / "pretrain.py"
FOLDER = "english_novels"
TRAINING = ("Dickens_Oliver_1839", "Gissing_Women_1893", "Hardy_Jude_1895", "Hardy_Madding_1874")
HELD_OUT = ("Dickens_Expectations_1861",)
VOCABULARY = 2000
STEPS, BATCH, ROWS = 500, 32, 256
"""Steps of a run, rows of a step, held-out rows."""
TIMEOUT = 3600.0
"""Seconds after which a run is ended."""
DENOISING = ["tiny", "model.sequence=64", "model.positions=rotary", "objective.kind=denoising"]
AUTOENCODER = [
    "autoencoder_small",
    "model.sequence=32",
    "model.bottleneck_length=8",
    "model.layers=1",
]
AUTOENCODER += ["model.decoder_layers=1"]
RUNS: dict[str, list[str]] = {
    **{
        f"denoising, {style}": [*DENOISING, f"objective.denoising.style={style}"]
        for style in ("spans", "infilling", "masking", "deletion")
    },
    "autoencoder, cross-entropy": AUTOENCODER,
    "autoencoder, 15 % of the tokens hidden": [*AUTOENCODER, "objective.autoencoder.noise=0.15"],
    "autoencoder, squared error (variance explained)": [
        *AUTOENCODER,
        "objective.autoencoder.loss=squared_error",
    ],
}
DEEPSPEED = {
    "train_micro_batch_size_per_gpu": BATCH,
    "gradient_accumulation_steps": 1,
    "gradient_clipping": 1.0,
    "steps_per_print": 10**9,
    "optimizer": {
        "type": "AdamW",
        "params": {"lr": 2e-3, "betas": [0.9, 0.98], "torch_adam": True, "fused": True},
    },
}


def measure(options: Options) -> Table:
    """Train with each objective, and compare."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    rows = []
    with (
        tempfile.TemporaryDirectory() as name,
        Progress(len(RUNS), " runs", "learning") as progress,
    ):
        folder = Path(name)
        _shards(folder, options.corpora / FOLDER)
        for number, (claim, words) in enumerate(RUNS.items()):
            rows.append(_row(claim, folder, [*words, *_common(folder, number)]))
            progress.advance()
    setting = (
        f"novels in a vocabulary of {VOCABULARY:,}, another novel held out; blocks of width 128, 2 "
        f"for rows of 64 tokens (denoising), 1 + 1 for rows of 32 through a code of 8 × 64 "
        f"(autoencoder); {STEPS} steps of {BATCH} rows, one rank; accuracy on {ROWS} held-out rows "
        "at step 0 → at the end, the loss beside it, under “peer” that of always saying the "
        "likeliest token; of the 13 tokens that a row of spans asks for, 4 are marks"
    )
    return Table("Denoising and autoencoders learn", setting, rows)


def _shards(folder: Path, novels: Path) -> None:
    train, other = ([novels / f"{n}.txt" for n in names] for names in (TRAINING, HELD_OUT))
    train_tokenizer(train, folder / "tokenizer", TokenizerConfig("unigram", VOCABULARY))
    shard(train, folder / "train", ShardingConfig(folder / "tokenizer"))
    shard(other, folder / "held_out", ShardingConfig(folder / "tokenizer"))
    (folder / "deepspeed.json").write_text(json.dumps(DEEPSPEED))


def _common(folder: Path, number: int) -> list[str]:
    """Settings of every run."""
    return [
        f"data.train={folder / 'train'}",
        f"data.validation={folder / 'held_out'}",
        f"data.validation_windows={ROWS}",
        f"run={folder / f'run-{number}'}",
        f"steps={STEPS}",
        f"evaluation_interval={STEPS}",
        f"checkpoint_interval={STEPS}",
        "log_interval=100",
    ]


def _row(claim: str, folder: Path, words: Sequence[str]) -> Row:
    """One objective, trained; the last of its measures is the accuracy."""
    config = str(folder / "deepspeed.json")
    first, name, guess = _before(words, config)
    command = [sys.executable, str(LAUNCHER), *words, f"--deepspeed_config={config}"]
    subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT)
    run = Path(next(word for word in words if word.startswith("run=")).removeprefix("run="))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = next(line for line in reversed(lines) if "validation_loss" in line)
    accuracy = f"{100 * first[name]:.1f} % → {100 * last[f'validation_{name}']:.1f} %"
    loss = f"loss {first['loss']:.3f} → {last['validation_loss']:.3f}"
    return Row(claim, "rises", accuracy, guess, loss)


@torch.no_grad()
def _before(words: Sequence[str], config: str) -> tuple[dict[str, Any], str, str]:
    """What an untrained model measures, by name; the accuracy's name, and a guesser's accuracy."""
    job = prepare(words, None, config, World())
    objective, shards = job.objective, job.sources.validation
    assert shards is not None, "the settings name one"
    model = Transformer(stages(job.config.model, job.config.seed, objective.extras)).eval()
    source = evaluation_rows(shards, objective)
    batches = validation_batches(source, ROWS, job.plan, objective.batch, 0, "cpu")
    total, labelled = torch.zeros(objective.parts), torch.zeros(objective.parts)
    sums, counts = torch.zeros(len(objective.measures), 2), torch.zeros(1)
    for inputs, labels in batches:
        outputs = model(inputs)
        sums += objective.measure(outputs, labels)
        total, labelled = (
            total + objective.loss(outputs, labels),
            labelled + objective.counts(labels),
        )
        asked = torch.as_tensor(labels)
        counts = counts + torch.bincount(asked[asked != IGNORE], minlength=job.config.model.size)
    measures = dict(zip(objective.measures, (sums[:, 0] / sums[:, 1]).tolist(), strict=True))
    name = objective.measures[-1]
    likeliest = f"{100 * float(counts.max() / counts.sum()):.1f} %"
    loss = float((total / labelled).sum())
    return {"loss": loss, **measures}, name, likeliest if "accuracy" in name else "0.0 %"
