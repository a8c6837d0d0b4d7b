"""What rounding costs a training step, and what 8 bits gain when a model is used."""

from __future__ import annotations

import copy
import dataclasses
import time
from functools import partial

import torch
from measure import THREADS, Options, Row, Table, alternate, slowdown, speedup
from torch import Tensor

from dslm.inference.next_token import caches
from dslm.model.config import ModelConfig
from dslm.model.quantize import quantize, ready_for_use
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.quantization.config import SCHEMES, QuantizationConfig
from dslm.quantization.integer import is_fast

SHAPE = ModelConfig(layers=4, heads=12, width=768, sequence=1024, vocabulary=8000)
ROUNDS = 7
TOKENS = 512
"""Tokens of a micro-batch, and of the text that is read."""
WRITTEN = 32
"""Tokens written a round."""
WIDE = 2048
"""Width of a second model, whose layers are large enough to hide what a call costs."""


def measure(options: Options) -> Table:
    """Train, read and write in turns."""
    torch.set_num_threads(THREADS)
    plain = Transformer(stages(SHAPE, 0))
    rows = [_trained(plain, scheme) for scheme in SCHEMES]
    if is_fast(torch.device("cpu")):
        wide = dataclasses.replace(SHAPE, width=WIDE, heads=WIDE // (SHAPE.width // SHAPE.heads))
        rows += [*_used(SHAPE), *_used(wide)]
    setting = (
        f"{SHAPE.layers} layers × {SHAPE.width} wide, vocabulary {SHAPE.size:,}, where no other "
        f"width is named; micro-batches and texts of {TOKENS} tokens, {WRITTEN} tokens written; "
        "the peer is the same model in float32"
    )
    if not is_fast(torch.device("cpu")):
        setting += "; this CPU has no AVX-512 VNNI, so that whole numbers are not used"
    return Table("Few bits", setting, rows)


def _used(shape: ModelConfig) -> list[Row]:
    """Reading a text and writing behind it, with whole numbers and with floats."""
    plain = Transformer(stages(shape, 0)).eval()
    whole = _rounding(plain, "w8a8")
    ready_for_use(whole)
    rows = []
    for name, work, wanted in (("reading", _read, "≥ 1.5×"), ("writing", _write, "≥ 1.4×")):
        contenders = {
            "w8a8": partial(work, whole, shape),
            "float32": partial(work, plain, shape),
        }
        rates = alternate(contenders, ROUNDS, name)
        claim = f"{name} with whole numbers, w8a8, {shape.width} wide"
        rows.append(speedup(claim, wanted, *rates.values(), "tokens"))
    return rows


def _trained(plain: Transformer, scheme: str) -> Row:
    """A forward and backward pass, rounded and not."""
    rounding = _rounding(plain, scheme)
    contenders = {scheme: partial(_learn, rounding), "float32": partial(_learn, plain)}
    rates = alternate(contenders, ROUNDS, f"training {scheme}")
    return slowdown(f"a pass forward and back, {scheme}", "≤ 1.3×", *rates.values())


def _rounding(plain: Transformer, scheme: str) -> Transformer:
    made = copy.deepcopy(plain)
    quantize(made, QuantizationConfig(scheme=scheme))  # type: ignore[arg-type]
    return made


def _ids(count: int) -> Tensor:
    return torch.randint(SHAPE.size, (1, count), generator=torch.Generator().manual_seed(0))


def _learn(model: Transformer) -> float:
    """Passes a second, forward and back."""
    ids, began = _ids(TOKENS), time.perf_counter()
    scores = model(ids)
    torch.nn.functional.cross_entropy(scores[0, :-1], ids[0, 1:]).backward()
    return 1 / (time.perf_counter() - began)


@torch.no_grad()
def _read(model: Transformer, shape: ModelConfig) -> float:
    """Tokens a second of a text that is read."""
    began = time.perf_counter()
    model(_ids(TOKENS), caches(model, shape, TOKENS))
    return TOKENS / (time.perf_counter() - began)


@torch.no_grad()
def _write(model: Transformer, shape: ModelConfig) -> float:
    """Tokens a second, each written behind a text."""
    kept = caches(model, shape, TOKENS + WRITTEN)
    model(_ids(TOKENS), kept)
    began = time.perf_counter()
    for _ in range(WRITTEN):
        model(_ids(1), kept)
    return WRITTEN / (time.perf_counter() - began)
