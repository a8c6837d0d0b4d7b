"""A Transformer, an LSTM and a GRU of equal size, trained on the same tokens of one corpus.

All go the same way: stages → the same rows in the same order → AdamW under the same schedule → the
loss over every token of texts that were held out. Each kind tries the same few learning rates on
the first tokens and is then trained anew with the one that was best. Speed is taken apart from
this, in turns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from measure import Options, Row, Table, alternate, ratio, timed
from texts import corpus_files
from torch import nn

from dslm.inference.evaluate import Evaluation, evaluate
from dslm.inference.trained import Trained
from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.parallel.optimizers import parameter_groups
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.progress import Progress
from dslm.run.config import DataConfig, RunConfig
from dslm.run.schedule import ScheduleConfig, factor
from dslm.sampling.stream import Stream
from dslm.sampling.windows import Windows
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer
from dslm.train.data import objective_of

COMMON: dict[str, Any] = {"sequence": 128, "vocabulary": 1000}
SHAPES = {
    "Transformer": ModelConfig(layers=4, heads=4, width=96, positions="rotary", **COMMON),
    "LSTM": ModelConfig(block="lstm", layers=3, width=130, positions="none", **COMMON),
    "GRU": ModelConfig(block="gru", layers=4, width=130, positions="none", **COMMON),
}
PEER = "Transformer"
RATES = (1e-3, 3e-3, 1e-2)
"""Peak learning rates that each tries."""
STEPS, TRIAL = 500, 100
"""Steps of a training, and of a trial of a rate."""
BATCH = 16
ADAMW = {"betas": [0.9, 0.95], "weight_decay": 0.1}
CLIP = 1.0
TEXT = 4_000_000
"""Bytes of the built-in corpus that are trained on."""
HELD_OUT = 10
"""One of so many novels is held out."""
PART, HELD_PART = 100_000, 60_000
"""Characters of a novel that is trained on, and of one held out."""
ROUNDS = 7

Step = Callable[[int], None]


def measure(options: Options) -> Table:
    """Find each kind's rate, train each with it, and time their steps in turns."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        training, held_out, corpus = _corpus(Path(name), options)
        rates, results = {}, {}
        works = len(SHAPES) * (len(RATES) * TRIAL + STEPS)
        with Progress(works, " steps", "recurrent") as progress:
            for kind, shape in SHAPES.items():
                trials = {
                    rate: _trained(shape, training, held_out, rate, TRIAL, progress).loss
                    for rate in RATES
                }
                rates[kind] = min(trials, key=lambda rate: trials[rate])
                results[kind] = _trained(shape, training, held_out, rates[kind], STEPS, progress)
        speeds = _speeds(training)
    found = ", ".join(f"{kind} {rate:g}" for kind, rate in rates.items())
    setting = (
        f"{corpus}, vocabulary {COMMON['vocabulary']:,}; {STEPS} steps of {BATCH} × "
        f"{COMMON['sequence']} tokens, AdamW, warm-up and cosine, float32, one thread; peak rates "
        f"best of {', '.join(f'{rate:g}' for rate in RATES)} in {TRIAL} steps: {found}; the peer "
        f"is the {PEER}; speeds are medians of {ROUNDS} rounds, the GRU's without a fused kernel, "
        "of which torch has none for a processor"
    )
    rows = [row for kind in SHAPES if kind != PEER for row in _rows(kind, results, speeds)]
    return Table("Transformer and recurrent models at equal size and tokens", setting, rows)


def _rows(
    kind: str, results: dict[str, Evaluation], speeds: dict[str, list[float]]
) -> Iterator[Row]:
    """The rows of a recurrent kind beside the Transformer."""
    sizes = {name: parameter_count(shape) for name, shape in SHAPES.items()}
    pairs = {
        "held-out loss, nats a token": ([results[k].loss for k in (kind, PEER)], ".3f"),
        "held-out bits a byte": ([results[k].bits_per_byte for k in (kind, PEER)], ".3f"),
        "parameters": ([float(sizes[k]) for k in (kind, PEER)], ",.0f"),
    }
    for claim, ((ours, peer), form) in pairs.items():
        yield Row(
            f"{kind}: {claim}", "—", f"{ours:{form}}", f"{peer:{form}}", f"{ours / peer:.2f}×"
        )
    own, other = (f"{median(speeds[k]):,.0f}" for k in (kind, PEER))
    faster = f"{ratio(speeds[kind], speeds[PEER]):.2f}×"
    yield Row(f"{kind}: tokens a second of training", "—", own, other, faster)


def _trained(
    shape: ModelConfig,
    training: ShardSet,
    held_out: ShardSet,
    rate: float,
    steps: int,
    progress: Progress,
) -> Evaluation:
    """Train a model from the same beginning as any other of its shape, and measure it."""
    model, step = _contender(shape, training, rate, steps)
    for number in range(steps):
        step(number)
        progress.advance()
    config, tokenizer = _settings(shape, steps), load_tokenizer(training.tokenizer)
    objective, cpu = objective_of(config, training.tokenizer), torch.device("cpu")
    trained = Trained(Path(), config, model.eval(), objective, tokenizer, steps, cpu)
    return evaluate(trained, held_out)


def _settings(shape: ModelConfig, steps: int) -> RunConfig:
    return RunConfig(preset="", model=shape, data=DataConfig(train=""), steps=steps, run="")


def _contender(
    shape: ModelConfig, training: ShardSet, rate: float, steps: int
) -> tuple[Transformer, Step]:
    """A model, and what trains it by a step."""
    model = Transformer(stages(shape, seed=0)).train()
    groups = parameter_groups(model, {"optimizer": {"params": ADAMW}})
    optimizer = torch.optim.AdamW(groups, **ADAMW, fused=True)
    objective = objective_of(_settings(shape, steps), training.tokenizer)
    stream = Stream([Windows(training, objective.window)], None, seed=0)

    def step(number: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = rate * factor(ScheduleConfig(), number, steps)
        inputs, labels = objective.batch(stream.samples(number * BATCH, BATCH))
        loss = objective.loss(model(inputs), labels) / objective.counts(labels)
        torch.autograd.backward(loss.sum())
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()

    return model, step


def _speeds(training: ShardSet) -> dict[str, list[float]]:
    """Tokens a second of a training step of each kind."""
    works = {}
    for kind, shape in SHAPES.items():
        step = _contender(shape, training, RATES[0], STEPS)[1]
        works[kind] = timed(lambda step=step: step(0), BATCH * shape.sequence)  # type: ignore[misc]
    return alternate(works, ROUNDS, "recurrent, speed")


def _corpus(folder: Path, options: Options) -> tuple[ShardSet, ShardSet, str]:
    """Shards to train on, shards of texts held out, and what they are in words."""
    novels = sorted((options.corpora / "english_novels").glob("*_*_*.txt"))
    if novels:
        training, held_out = _parts(novels, folder)
    else:
        training = corpus_files(folder, TEXT)
        held_out = sorted((folder / "corpus").glob("validation-*.txt"))
    tokenizer = folder / "tokenizer"
    train_tokenizer(training, tokenizer, TokenizerConfig("unigram", COMMON["vocabulary"]))
    sets = [
        shard(files, folder / name, ShardingConfig(tokenizer))[0]
        for name, files in (("training", training), ("held-out", held_out))
    ]
    kind = "English novels" if novels else "the built-in corpus"
    trained, measured = (f"{shards.tokens / 1e6:.2f} M tokens" for shards in sets)
    return sets[0], sets[1], f"{trained} of {kind} and {measured} of others held out"


def _parts(novels: list[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """The beginnings of novels, as files: those to train on and those held out."""
    parts: tuple[list[Path], list[Path]] = ([], [])
    for number, novel in enumerate(novels):
        held_out = number % HELD_OUT == 0
        text = novel.read_text(encoding="utf-8-sig", errors="replace")
        file = folder / novel.name
        file.write_text(text[: HELD_PART if held_out else PART], encoding="utf-8")
        parts[held_out].append(file)
    return parts
