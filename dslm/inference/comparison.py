"""What rounding to few bits costs: one model as floats, rounded after training, trained rounded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

from dslm.errors import ConfigError, Problem
from dslm.inference.calibration import Calibration
from dslm.inference.evaluate import evaluate
from dslm.inference.mistakes import check_language
from dslm.inference.trained import Trained, load, rounded_in_training
from dslm.model.quantize import rounding_layers
from dslm.progress import Progress
from dslm.quantization.config import QuantizationConfig, Scheme
from dslm.quantization.size import stored_bytes
from dslm.run.folder import RunFolder
from dslm.run.init_from import FREE
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer

Kind = Literal["float", "nearest", "calibrated", "trained"]
WARM_UP = 4
"""Rows that are read before the time is taken."""


@dataclass(frozen=True)
class Compared:
    """What is compared."""

    floats: Path
    """The run that was trained as floats."""
    quantization: QuantizationConfig
    """What is rounded."""
    trained: Path | None = None
    """The run that was trained rounded, if there is one."""


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
    """Read, not written."""


def which(run: Path, floats: Path | None, quantization: QuantizationConfig | None) -> Compared:
    """What there is to compare a run with.

    Args:
        run: trained rounded, or as floats.
        floats: the float run; unless given the one that a rounded run began with.
        quantization: what a float run is rounded to.

    Raises:
        UserError: there is no such run, or nothing to compare.
    """
    config = RunFolder(run).read_config()
    used = rounded_in_training(config, RunFolder(run).find_checkpoint(None)[0])
    problems = []
    if used.selected is None:
        if floats is not None:
            rule = f"{run} was trained as floats itself"
            problems.append(Problem("--float", str(floats), rule, "leave it out"))
        if quantization is None or quantization.selected is None:
            rule = f"{run} was trained as floats: rounded to what?"
            problems.append(Problem("--scheme", None, rule, "give one, such as w4"))
        found = Compared(run, quantization or used)
    else:
        if quantization is not None:
            rule = f"{run} was trained with {used.scheme}"
            problems.append(Problem("--scheme", quantization.scheme, rule, "leave it out"))
        source = floats or Path(config.init_from or "")
        if floats is None and not (config.init_from and source.is_dir()):
            begun = f"began with {source}, which is gone" if config.init_from else "began with none"
            fix = "name the float run to compare it with"
            problems.append(Problem("--float", None, f"{run} {begun}", fix))
        else:
            problems += _check_floats(source, run)
        found = Compared(source, used, run)
    if problems:
        raise ConfigError(*problems)
    return found


def _check_floats(source: Path, run: Path) -> list[Problem]:
    """Why a run is not one of floats to compare a rounded one with."""
    folder, problems = RunFolder(source), []
    if _shape(source) != _shape(run):
        rule, fix = f"is of another shape than {run}", "name a run of the same"
        problems.append(Problem("--float", str(source), rule, fix))
    used = rounded_in_training(folder.read_config(), folder.find_checkpoint(None)[0])
    if used.selected is not None:
        rule, fix = f"was trained with {used.scheme} itself", "name a run trained as floats"
        problems.append(Problem("--float", str(source), rule, fix))
    return problems


def _shape(run: Path) -> dict[str, Any]:
    """The settings of a model that decide on its weights."""
    model = asdict(RunFolder(run).read_config().model)
    return {key: value for key, value in model.items() if key not in FREE}


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
    record["models"] = [
        asdict(_measured(kind, open_model(), shards, whole if kind == "float" else packed))
        for kind, open_model in cases
    ]
    return record


def _measured(kind: Kind, trained: Trained, shards: ShardSet, sizes: tuple[int, int]) -> Measured:
    """Loss and speed of a model on a whole shard set."""
    evaluate(trained, shards, rows=WARM_UP)
    with Progress(shards.tokens - 1, "tokens", f"measuring, {kind}") as progress:
        start = time.perf_counter()
        found = evaluate(trained, shards, progress.advance)
        speed = found.tokens / (time.perf_counter() - start)
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
