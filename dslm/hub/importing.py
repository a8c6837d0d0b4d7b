"""A Hugging Face folder as a run: weights as a checkpoint of step 0, tokenizer and settings.

The run can be evaluated, asked and exported like one that was trained here, and training can begin
with it (``init_from=RUN``). Where the folder has no head, one is drawn, and the run serves for
nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from dslm import __version__
from dslm.config.overrides import merge
from dslm.config.parse import parse
from dslm.errors import CheckpointError, ConfigError, Problem, Problems, UserError
from dslm.files.published import published
from dslm.files.whole import read_json
from dslm.hub.compressed import KEY
from dslm.hub.families import SETTINGS
from dslm.hub.family import Family
from dslm.hub.folder import Folder, open_folder
from dslm.hub.foresight import check_unoccupied
from dslm.hub.labels import read_labels
from dslm.hub.manifest import FILE as MANIFEST
from dslm.hub.pairing import pair_frame, special_id
from dslm.model.config import ModelConfig
from dslm.model.quantize import quantize, rounding
from dslm.model.stages import drawn, stages
from dslm.model.transformer import Transformer
from dslm.quantization.config import QuantizationConfig
from dslm.run.checkpoint import layer_file
from dslm.run.checkpoint_writer import Writer
from dslm.run.config import RunConfig
from dslm.run.folder import UNTRAINED, RunFolder
from dslm.run.presets import fine_tune
from dslm.tokenizers.load import KINDS, load_tokenizer
from dslm.tokenizers.pair_frame import PairFrame
from dslm.tokenizers.third_party import SETTINGS as TOKENIZER_SETTINGS
from dslm.tokenizers.tokenizer import Tokenizer

Reached = Callable[[float, float], None]

REBUILT = {"gpt2": "GPT2Tokenizer", "bert": "BertTokenizer"}
"""Classes that make a tokenizer anew from its vocabulary; the usual ones of a type of model."""
PARTS = {
    "add_prefix_space": "add_prefix_space",
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
"""By which of their settings they do, and what `tokenizer.json` calls each."""


def import_folder(path: Path, run: Path, progress: Reached | None = None) -> Folder:
    """Make a run of a model in Hugging Face's form.

    Args:
        path: the folder of the model, with its tokenizer.
        run: the folder to make.
        progress: called with the bytes of weights written so far, and those of all.

    Returns:
        The model.

    Raises:
        UserError: with everything that is wrong with the model, or the run is there already.
    """
    found = Problems()
    found.problems += check_unoccupied(run, "RUN")
    folder = found.collect(open_folder, path)
    quantization = None if folder is None else found.collect(_quantization, folder)
    tokenizer, pair = found.collect(load_tokenizer, path), None
    task = folder is not None and folder.family.task
    labels = found.collect(read_labels, folder) if folder is not None and task else None
    if folder is not None and tokenizer is not None:
        found.problems += _check_tokenizer(folder, tokenizer)
        pair = found.collect(pair_frame, folder, tokenizer)
    if found.problems or folder is None or tokenizer is None or quantization is None:
        raise UserError(*found.problems)
    with published(run) as made:
        target = RunFolder(made)
        _with_special(tokenizer, folder, pair).save(target.tokenizer)
        unround = quantization.selected is not None
        _write_weights(folder, unround, Writer(target.checkpoints, step=0), progress)
        target.write_record(_record(folder, quantization, run, *(labels or ())))
    return folder


def absent(folder: Folder) -> list[str]:
    """The names of the tensors of a head that a folder does not hold, so that they are drawn."""
    return [name for weight in folder.absent for name in weight.theirs]


def _quantization(folder: Folder) -> QuantizationConfig:
    """What the run rounds: as it did before dslm exported it; nothing where that cannot be.

    Raises:
        UserError: then inputs would not be rounded that were, or it is said in two ways.
    """
    schemes, path = folder.schemes(), folder.path / MANIFEST
    if not schemes:
        return QuantizationConfig()
    where = f"{folder.path / SETTINGS}: {KEY}"
    if not path.is_file() or not folder.roundable():
        if all(scheme.activations is None for scheme in schemes.values()):
            return QuantizationConfig()
        rule = f"rounds inputs of layers, as a run does only if {MANIFEST} lies beside it"
        fix = "use the run that was exported; a calibrated one cannot come back"
        raise CheckpointError(Problem(where, None, rule, fix))
    values = read_json(path).get("quantization")
    values = {**values, "start_step": 0} if isinstance(values, dict) else {}
    try:
        said = parse(QuantizationConfig, values)
    except ConfigError as error:
        named = (replace(p, where=f"{path}: quantization.{p.where}") for p in error.problems)
        raise CheckpointError(*named) from error
    with torch.device("meta"):
        model = Transformer(stages(folder.config, 0))
    quantize(model, said)
    if schemes != dict.fromkeys(rounding(model), said.selected):
        rule = f"differs from {MANIFEST}"
        raise CheckpointError(Problem(where, None, rule, "export the run again"))
    return said


def _check_tokenizer(folder: Folder, tokenizer: Tokenizer) -> list[Problem]:
    size, problems = folder.config.size, _check_rebuilt(folder, tokenizer)
    if tokenizer.vocabulary <= size:
        return problems
    rule = f"the tokenizer has ids up to {tokenizer.vocabulary - 1}"
    return [*problems, Problem(f"{folder.path / SETTINGS}: vocab_size", size, rule)]


def _check_rebuilt(folder: Folder, tokenizer: Tokenizer) -> list[Problem]:
    """Settings by which a class of `transformers` gives other ids than the tokenizer's files do."""
    path = folder.path / TOKENIZER_SETTINGS
    if tokenizer.kind not in ("hugging-face", "gpt2", "bert") or not path.is_file():
        return []
    settings = read_json(path)
    name = settings.get("tokenizer_class") or REBUILT.get(folder.family.model_type)
    if str(name).removesuffix("Fast") not in REBUILT.values():
        return []
    content = json.loads(tokenizer.tokenizer_json())
    parts = {**(content["pre_tokenizer"] or {}), **(content["normalizer"] or {})}
    if parts.get("strip_accents", False) is None:
        parts["strip_accents"] = parts["lowercase"]
    rule = "the tokenizer has {}, and transformers would go by this"
    fix = "make both say what the model was trained with"
    return [
        Problem(f"{path}: {key}", settings[key], rule.format(json.dumps(parts[theirs])), fix)
        for key, theirs in PARTS.items()
        if settings.get(key) is not None and theirs in parts and parts[theirs] != settings[key]
    ]


def _with_special(tokenizer: Tokenizer, folder: Folder, pair: PairFrame | None) -> Tokenizer:
    """The tokenizer with the special ids of the model, and what it has around a text or a pair."""
    special = dict(tokenizer.special)
    for name in ("bos", "eos", "pad"):
        number = special_id(folder, name)
        if number is not None and 0 <= number < tokenizer.vocabulary:
            special[name] = number
    causal = folder.config.attention == "causal"
    begin = tokenizer.begin or (tokenizer.frame[0] if causal else ())
    if folder.family.task and causal and not tokenizer.frame[1]:
        for end in ("eos", "sep"):  # with which the texts that it learned from did not end
            special.pop(end, None)
    begin = begin if pair is None else ()
    card = replace(tokenizer.card, special=special, begin=begin, pair=pair)
    return KINDS[card.kind](card, tokenizer.files)


def _write_weights(folder: Folder, unround: bool, writer: Writer, progress: Reached | None) -> None:
    """Write all layers, of which only one is in memory at a time."""
    writer.begin()
    initial = drawn(stages(folder.config, seed=0))
    files: dict[str, tuple[int, str]] = {}
    layers = groupby(folder.weights, key=lambda weight: int(weight.ours.partition(".")[0]))
    for index, layer in layers:
        tensors = {
            weight.ours: initial(weight.ours, 0, math.prod(weight.shape)).view(weight.shape)
            if weight in folder.absent
            else folder.read(weight, unround)
            for weight in layer
        }
        name = layer_file(index, moments=False)
        files[name] = writer.write(name, tensors)
        if progress is not None:
            progress(sum(size for size, _ in files.values()), folder.bytes())
    numbers: dict[str, Any] = {"step": 0, "samples": 0, "optimizer_steps": 0, "loss_scale": {}}
    writer.publish(files, numbers)


def _objective(family: Family, config: ModelConfig, labels: dict[str, Any]) -> dict[str, Any]:
    """What a model of this shape was trained for."""
    if family.task:
        return {"kind": family.task, family.task: labels}
    if config.encoder_layers:
        return {"kind": "denoising", "denoising": {"style": family.style}}
    if config.attention == "causal":
        return {"kind": "causal"}
    return {"kind": "masked", "masked": {"pairs": "next_sentence" if config.pair_head else "none"}}


def _record(
    folder: Folder,
    quantization: QuantizationConfig,
    run: Path,
    labels: Mapping[str, Any] = MappingProxyType({}),
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """What ``run.json`` holds of a run that has read no data."""
    own = {
        "preset": fine_tune.__name__,
        "model": asdict(folder.config),
        "objective": _objective(folder.family, folder.config, dict(labels)),
        "data": {"train": {}},
        "quantization": asdict(quantization),
        "run": str(run),
    }
    config = parse(RunConfig, merge(fine_tune(), own))
    return {
        "status": "done",
        "ended": f"imported from {folder.path}",
        "versions": {"dslm": __version__},
        "config": asdict(config),
        "data": {"train": [], "validation": None, **({"classes": [*classes]} if classes else {})},
        **({UNTRAINED: names} if (names := absent(folder)) else {}),
    }
