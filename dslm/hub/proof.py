"""The proof of an export: the run's model and what was read back give a batch the same loss.

The batch is text that the run was measured on or trained with, or where this is gone, drawn tokens;
the loss is that of the objective. Scores are compared as well, which are many numbers for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dslm.errors import DataError
from dslm.hub.formats import ReadBack
from dslm.inference.trained import Trained
from dslm.model.quantize import rounding_layers, set_quantizer
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.batch import Value
from dslm.quantization.config import Scheme
from dslm.quantization.rounding import InputQuantizer
from dslm.sampling.stream import Samples, ordered
from dslm.shards.shard_set import ShardSet
from dslm.tasks.base import Task
from dslm.train.batches import evaluation_rows, moved

LOSS_TOLERANCE = 1e-4
"""By how much the loss of the exported model may differ from the run's."""
SCORE_TOLERANCE = 1e-5
"""By how much any of its scores may."""
TOKENS = 1024
"""Tokens of the batch, but at least a row, and at most `ROWS`."""
ROWS = 8


@dataclass(frozen=True)
class Proof:
    """What both models made of a batch; losses are in the unit of the objective, mostly nats."""

    batch: str
    """Where it is from."""
    tokens: int
    training_loss: float
    """Of the run's model as it trains, straight from the checkpoint."""
    loss: float
    """The same, but with inputs as they are where the format does not round them, and with
    weights in float16 where it holds them so."""
    exported_loss: float
    """Of what was read back."""
    difference: float
    """Of these two losses."""
    score_difference: float
    """The largest difference between two scores."""

    @property
    def holds(self) -> bool:
        """Whether both models are the same."""
        near = self.score_difference <= SCORE_TOLERANCE
        return near and self.difference <= LOSS_TOLERANCE


@torch.no_grad()
def prove(trained: Trained, read: ReadBack) -> Proof:
    """Compare a run's model, whose layers still round, with what a format holds of it."""
    samples, origin = _samples(trained)
    make = next(iter(trained.objective.held_out().values()))
    inputs, labels = moved(make(samples), lambda tensor: tensor.to(trained.device))
    inputs = _of_known_segments(trained, inputs)
    theirs = model_of(read, trained.objective.extras).to(trained.device)
    training = _loss(trained, trained.model(inputs), labels)
    with _inputs_kept(trained, kept=not read.inputs), _halved(trained, read.halved):
        ours = trained.model(inputs)
    exported = theirs(inputs)
    pairs = zip(_each(ours), _each(exported), strict=True)
    apart = float(torch.stack([(one - other).abs().max() for one, other in pairs]).max())
    loss, found = (_loss(trained, outputs, labels) for outputs in (ours, exported))
    count = samples.tokens.size
    return Proof(origin, count, training, loss, found, abs(loss - found), apart)


def _of_known_segments(trained: Trained, inputs: Value) -> Value:
    """Inputs whose segments are those that the model knows: an imported one may know one alone."""
    if isinstance(inputs, Tensor):
        return inputs
    last, names = trained.config.model.segments - 1, ("tokens", *trained.objective.extras)
    pairs = zip(names, inputs, strict=True)
    return tuple(one.clamp(max=last) if name == "segments" else one for name, one in pairs)


def model_of(read: ReadBack, extras: tuple[str, ...] = ()) -> Transformer:
    """The model that was read, on the CPU, which rounds inputs as far as the format says so."""
    with torch.device("meta"):
        model = Transformer(stages(read.config, 0, extras))
    model.load_state_dict(read.weights, assign=True)
    for name, bits in read.inputs.items():
        set_quantizer(model, [name], InputQuantizer(Scheme(bits, bits, None)))
    return model.eval()


@contextmanager
def _inputs_kept(trained: Trained, kept: bool) -> Iterator[None]:
    """Within, the model leaves inputs as they are."""
    found = (layer.quantizer for layer in rounding_layers(trained.model).values())
    schemes = {one: one.scheme for one in found if one is not None}
    for one, scheme in schemes.items() if kept else ():
        one.scheme = replace(scheme, activations=None)
    try:
        yield
    finally:
        for one, scheme in schemes.items():
            one.scheme = scheme


@contextmanager
def _halved(trained: Trained, names: Iterable[str]) -> Iterator[None]:
    """Within, some weights are as float16 holds them."""
    found = {name: trained.model.get_parameter(name) for name in names}
    before = {name: weight.data for name, weight in found.items()}
    for weight in found.values():
        weight.data = weight.data.half().float()
    try:
        yield
    finally:
        for name, weight in found.items():
            weight.data = before[name]


def _loss(trained: Trained, outputs: Value, labels: Value) -> float:
    """The loss of outputs, which stay as they are."""
    copies = tuple(one.clone() for one in _each(outputs))
    sums = trained.objective.loss(copies if isinstance(outputs, tuple) else copies[0], labels)
    return float((sums.double() / trained.objective.counts(labels).clamp(min=1)).sum())


def _each(outputs: Value) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _samples(trained: Trained) -> tuple[Samples, str]:
    """Rows of text, and where they are from."""
    for name, folder in _folders(trained):
        with suppress(DataError, OSError):
            shards = ShardSet.open(folder)
            rows = evaluation_rows(shards, trained.objective)
            count = min(len(rows), ROWS, max(1, TOKENS // rows.width))
            unlike = shards.unlike(trained.tokenizer.sha256, trained.tokenizer.begin, "the model's")
            if count and not unlike:
                return ordered(rows, 0, count), f"the first {count} rows of {name}"
    return _drawn(trained), "random tokens, as no shards of the run were found that fit it"


def _folders(trained: Trained) -> Iterator[tuple[str, str]]:
    """The shards that the run was measured on, and those that it was trained with."""
    data = trained.config.data
    if data.validation:
        yield "data.validation", data.validation
    for folder in [data.train] if isinstance(data.train, str) else data.train:
        yield "data.train", folder


def _drawn(trained: Trained) -> Samples:
    """Rows of any tokens, the second one half padding."""
    objective, draws = trained.objective, np.random.default_rng(0)
    width = objective.window.width
    tokens = draws.integers(trained.tokenizer.vocabulary, size=(2, width), dtype=np.uint32)
    lengths, classes = np.array([width, max(2, width // 2)]), trained.config.model.classes
    labels = None
    if isinstance(objective, Task):
        labels = [objective.drawn_labels(draws, classes, tokens) for tokens in lengths.tolist()]
    return Samples(tokens, np.arange(2), np.arange(2), lengths, labels)
