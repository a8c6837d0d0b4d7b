"""What rounding to few bits costs: one model as floats, rounded after training, trained rounded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from torch import nn

from dslm.inference.compared import Compared
from dslm.inference.evaluate import evaluate
from dslm.inference.mistakes import check_language
from dslm.inference.selection import Calibration
from dslm.inference.trained import Trained, load
from dslm.model.quantize import rounding_layers
from dslm.progress import Progress
from dslm.quantization.config import QuantizationConfig, Scheme
from dslm.quantization.size import stored_bytes
from dslm.run.folder import RunFolder
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer

Kind = Literal["float", "nearest", "calibrated", "trained"]
TURNS, TIMED_ROWS = 5, 32
"""How often each model's speed is taken, and on how many rows."""


@dataclass(frozen=True)
class Measured:
    """One of the models."""

    kind: Kind
    run: str
    step: int
    loss: float
    perplexity: float | None
    map_bytes: int
    """Of the weights of all layers that are rounded, as stored in few bits."""
    bytes: int
    """Of all weights."""
    tokens_per_second: float
    """Read, not written; the fastest of several turns."""


def compare(
    compared: Compared, shards: ShardSet, calibration: Calibration | None, rows: int
) -> dict[str, Any]:
    """Measure all of them, and how sensitive each layer is.

    Args:
        compared: the runs.
        shards: held-out text.
        calibration: the text for which to round; none unless given.
        rows: how many of the held-out rows each layer is measured on.

    Returns:
        What ``quantization.json`` holds.

    Raises:
        UserError: a run cannot be used, or not with these shards.
    """
    floats, how = compared.floats, compared.quantization
    cases: list[tuple[Kind, Callable[[], Trained]]] = [
        ("float", lambda: load(floats, None, QuantizationConfig())),
        ("nearest", lambda: load(floats, None, how)),
    ]
    unused, scheme = load(floats, None, how, to_use=False), how.selected
    record: dict[str, Any] = {
        "scheme": how.scheme,
        "group_size": scheme and scheme.group,
        "layers": how.layers,
        "data": str(shards.folder),
        "sensitivity_rows": rows,
    }
    if calibration is not None:
        text = calibration.shards
        check_language(floats, unused.tokenizer, text)
        record["calibration"] = {"data": str(text.folder), "rows": calibration.rows}
        cases.append(("calibrated", lambda: load(floats, None, how, calibration)))
    if trained := compared.trained:
        check_language(trained, load_tokenizer(RunFolder(trained).tokenizer), shards)
        cases.append(("trained", lambda: load(trained)))
    whole, packed = _bytes(unused.model, None), _bytes(unused.model, scheme)
    record["sensitivity"] = sensitivity(unused, shards, rows)
    del unused
    models = {kind: open_model() for kind, open_model in cases}
    speeds = in_turns({kind: partial(_speed, model, shards) for kind, model in models.items()})
    record["models"] = [
        asdict(_measured(kind, model, shards, whole if kind == "float" else packed, speeds[kind]))
        for kind, model in models.items()
    ]
    return record


def in_turns(speeds: Mapping[Kind, Callable[[], float]], turns: int = TURNS) -> dict[Kind, float]:
    """The fastest of each, taken in turns, so that what slows the machine down meets them alike."""
    taken = [{kind: speed() for kind, speed in speeds.items()} for _ in range(turns)]
    return {kind: max(turn[kind] for turn in taken) for kind in speeds}


def _speed(trained: Trained, shards: ShardSet) -> float:
    """Tokens a second that a model reads."""
    start = time.perf_counter()
    found = evaluate(trained, shards, rows=TIMED_ROWS)
    return found.tokens / (time.perf_counter() - start)


def _measured(
    kind: Kind, trained: Trained, shards: ShardSet, sizes: tuple[int, int], speed: float
) -> Measured:
    """The loss of a model on a whole shard set, beside what is known of it."""
    with Progress(shards.tokens - 1, "tokens", f"measuring, {kind}") as progress:
        found = evaluate(trained, shards, progress.advance)
    run, step = str(trained.run), trained.step
    return Measured(kind, run, step, found.loss, found.perplexity, *sizes, speed)


def sensitivity(trained: Trained, shards: ShardSet, rows: int) -> dict[str, float]:
    """By how much the loss rises when a single layer is rounded, to nearest.

    Args:
        trained: a model with layers that round, its weights as they were trained; no layer of it
            does so afterwards.
        shards: held-out text.
        rows: how many of its rows are read, evenly spread.

    Returns:
        For each layer, named as in a checkpoint, the difference to the loss of floats.
    """
    layers = rounding_layers(trained.model)
    quantizers = {name: layer.quantizer for name, layer in layers.items()}
    for layer in layers.values():
        layer.quantizer = None
    found = {}
    with Progress(1 + len(layers), "layers", "rounding one at a time") as progress:
        floats = evaluate(trained, shards, rows=rows).loss
        progress.advance()
        for name, layer in layers.items():
            layer.quantizer = quantizers[name]
            rounded = evaluate(trained, shards, rows=rows).loss
            layer.quantizer = None
            found[name.removeprefix("layers.")] = rounded - floats
            progress.advance()
    return found


def _bytes(model: nn.Module, scheme: Scheme | None) -> tuple[int, int]:
    """Bytes of the weights that are rounded, and of all: as float32, or with these in a scheme."""
    maps = [layer.weight for layer in rounding_layers(model).values()]
    floats = sum(4 * weight.numel() for weight in maps)
    rounded = floats
    if scheme is not None:
        rounded = sum(stored_bytes(scheme, *weight.shape) for weight in maps)
    return rounded, sum(4 * weight.numel() for weight in model.parameters()) - floats + rounded
