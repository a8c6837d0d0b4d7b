"""What can be said of an import or an export before torch is loaded.

The rest is found out by `importing` and `exporting`, which look at weights.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from dslm.errors import CheckpointError, Problem, Problems, UserError
from dslm.files.published import occupied
from dslm.files.whole import read_json
from dslm.hub.families import SETTINGS, check_type
from dslm.hub.weight_files import weight_files
from dslm.inference.selection import Selected
from dslm.model.config import ModelConfig
from dslm.objectives.base import Objective
from dslm.objectives.completion import Restore
from dslm.quantization.config import QuantizationConfig
from dslm.run.mistaken import hub_name, is_run
from dslm.tokenizers.load import load_tokenizer


def check_unoccupied(folder: Path, argument: str) -> list[Problem]:
    """Whether a folder can be made."""
    if not occupied(folder):
        return []
    return [
        Problem(str(folder), None, "is there already", f"remove it or choose another {argument}")
    ]


def check_model_folder(folder: Path) -> None:
    """Refuse a folder that holds no model in Hugging Face's form with its tokenizer.

    Raises:
        UserError: with what is missing; or the model is of a shape that dslm has not.
    """
    if not (folder / SETTINGS).is_file():
        raise CheckpointError(_not_a_model(folder))
    found = Problems()
    settings = found.collect(read_json, folder / SETTINGS) or {}
    if (kind := settings.get("model_type")) is not None:  # else the class decides
        found.collect(check_type, kind, f"{folder / SETTINGS}: model_type")
    found.collect(weight_files, folder)
    found.collect(load_tokenizer, folder)
    if found.problems:
        raise UserError(*found.problems)


def check_shape(config: ModelConfig) -> list[Problem]:
    """Whether some family may express a model."""
    if not config.recurrent:
        return []
    rule = "no model family that dslm can export to has recurrent layers"
    return [Problem("model.block", config.block, rule)]


def check_seen(config: ModelConfig, objective: Objective) -> list[Problem]:
    """Whether the tokens of a model see those that they see in models of its family.

    One stack that sees a source whole computes something else than the causal model of its shape.
    """
    how = objective.completion()
    if config.encoder_layers or not isinstance(how, Restore) or how.one_text:
        return []
    settings = objective.settings
    key, value = ("objective.kind", objective.kind)
    if hasattr(settings, "prefix"):
        key, value = f"objective.{objective.kind}.prefix", settings.prefix
    rule = "here one stack sees a source whole; a causal model elsewhere would compute other scores"
    fix = "use it as it is: python launch/generate.py RUN; or train one with model.encoder_layers"
    return [Problem(key, value, rule, fix)]


def check_rounded(quantization: QuantizationConfig) -> list[Problem]:
    """Whether there is something to write in few bits."""
    if quantization.selected is not None:
        return []
    rule, fix = "has no rounded weights to write in few bits", "choose a --scheme, such as w4"
    return [Problem("the model", None, rule, fix)]


def check_format(model: Selected, format: str) -> list[Problem]:
    """What keeps a model from being written in a format, as far as its settings say.

    Args:
        model: the model.
        format: one of `dslm.hub.formats.FORMATS`.
    """
    few_bits = check_rounded(model.quantization) if format == "compressed-tensors" else []
    seen = check_seen(model.config.model, model.objective)
    return [*check_shape(model.config.model), *seen, *few_bits]


def check_adapters(model: Selected) -> list[Problem]:
    """What keeps the adapters of a model from being written alone."""
    run = str(model.folder.path)
    if not model.config.lora.rank:
        return [Problem(run, None, "has no adapters", "train some with lora.rank, or leave --peft")]
    if model.config.model.classes:
        rule = "has a head for classes, which is none of the base's"
        return [Problem(run, None, rule, "use it as it is: python launch/evaluate.py RUN")]
    if model.quantization.selected is not None:
        rule = "are not rounded"
        return [Problem("the adapters", None, rule, "leave out --scheme or --peft")]
    seen = check_seen(model.config.model, model.objective)
    return [*check_shape(model.config.model), *seen]


def _not_a_model(folder: Path) -> Problem:
    """Why a path is no folder in Hugging Face's form, and what to do."""
    given = str(folder)
    if is_run(folder):
        run = shlex.quote(folder.as_posix())
        fix = f'use it as it is: python launch/generate.py {run} --prompt "The"'
        return Problem(given, None, "is a run of dslm already", fix)
    if on_a_hub := hub_name(folder):
        return Problem(given, None, "does not exist, and dslm downloads no model", on_a_hub)
    if folder.is_file():
        rule, fix = "is a file", f"give the folder with {SETTINGS}, weights and tokenizer in it"
        return Problem(given, None, rule, fix)
    if not folder.exists():
        return Problem(given, None, "does not exist", "give the folder of the model")
    rule = f"is not a model in Hugging Face's form: it has no {SETTINGS}"
    fix = f"give the folder with {SETTINGS}, weights and tokenizer in it"
    return Problem(given, None, rule, fix)
