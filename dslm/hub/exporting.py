"""A run as a Hugging Face folder, proved by reading it back before anybody sees it.

FOLDER/
    model.safetensors        the weights by their names, a shared one once
    config.json              the shape, and the ids of the special tokens
    generation_config.json   the same ids, and those that are no tokens
    tokenizer.json           the tokenizer, with the same ids
    tokenizer_config.json    which tokens are special, and the longest text
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dslm.data.publish import occupied, published
from dslm.data.tokenizer import Tokenizer
from dslm.errors import CheckpointError, Findings, Problem, TrainingError, UserError
from dslm.files import write_json, write_text
from dslm.hub.family import Family
from dslm.hub.folder import SETTINGS, open_folder
from dslm.hub.names import weights
from dslm.hub.registry import family_of_model
from dslm.hub.settings import write_settings
from dslm.hub.tokenizer_json import special_names, tokenizer_json
from dslm.inference.trained import Trained, load
from dslm.model.config import ModelConfig
from dslm.model.stages import stages
from dslm.model.transformer import Transformer

TOLERANCE = 1e-5
"""By how much scores of the exported model may differ from the run's."""

WINDOW = 64
"""Tokens of each text on which they are compared, at most."""


def export_run(run: Path, folder: Path, step: int | None = None) -> float:
    """Write a run's model in Hugging Face's form.

    Args:
        run: the folder of the run.
        folder: the folder to make.
        step: which checkpoint; the newest unless told.

    Returns:
        The largest difference between scores of the written model and of the run's.

    Raises:
        UserError: no such run, a model or tokenizer that cannot be expressed, or the folder is
            there already.
        TrainingError: what was written gives other scores.
    """
    if occupied(folder):
        fix = "remove it or choose another FOLDER"
        raise CheckpointError(Problem(str(folder), None, "is there already", fix))
    trained = load(run, step)
    config, tokenizer = trained.config.model, trained.tokenizer
    found = Findings()
    family = found.take(family_of_model, config)
    content = found.take(tokenizer_json, tokenizer)
    if family is None or content is None:
        raise UserError(*found.problems)
    ids = _special_ids(tokenizer)
    with published(folder) as place:
        settings = {**write_settings(family, config), **ids, "dtype": "float32"}
        write_json(place / SETTINGS, settings)
        write_json(place / "generation_config.json", {**ids, **_never(config, tokenizer)})
        _write_weights(place / "model.safetensors", family, trained)
        write_text(place / "tokenizer.json", content)
        names = special_names(tokenizer, content)
        write_json(place / "tokenizer_config.json", _tokenizer_settings(names, config))
        difference = _difference(place, trained)
        if not difference <= TOLERANCE:
            raise TrainingError(
                f"{folder}: the written model's scores differ from the run's by {difference:.2g}, "
                f"more than {TOLERANCE:.0e}: nothing was written"
            )
    return difference


def _special_ids(tokenizer: Tokenizer) -> dict[str, int | None]:
    """The ids that `transformers` asks for; null, where it would take other models' otherwise.

    Where nothing marks the beginning of a document, the end of the one before does.
    """
    end, padding = tokenizer.special.get("eos"), tokenizer.special.get("pad")
    begin = tokenizer.special.get("bos", end)
    return {"bos_token_id": begin, "eos_token_id": end, "pad_token_id": padding}


def _never(config: ModelConfig, tokenizer: Tokenizer) -> dict[str, list[int]]:
    """Ids that pad the vocabulary, which are never to be chosen."""
    padding = list(range(tokenizer.vocabulary, config.size))
    return {"suppress_tokens": padding} if padding else {}


def _tokenizer_settings(names: Mapping[str, str], config: ModelConfig) -> dict[str, Any]:
    begin = {"bos_token": names["eos_token"]} if "eos_token" in names else {}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.sequence,
        "clean_up_tokenization_spaces": False,
        **begin,
        **names,
    }


def _write_weights(path: Path, family: Family, trained: Trained) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    model = trained.model.state_dict()
    theirs: dict[str, Tensor] = {}
    for weight in weights(family, trained.config.model):
        theirs.update(weight.split(model[f"layers.{weight.ours}"].cpu()))
    try:
        save_file(theirs, path, {"format": "pt"})
    except SafetensorError as error:
        raise OSError(str(error)) from error


@torch.no_grad()
def _difference(place: Path, trained: Trained) -> float:
    """The largest difference of scores between what was written and the run's model."""
    folder = open_folder(place)
    with torch.device("meta"):
        again = Transformer(stages(folder.config, seed=0))
    read = {f"layers.{weight.ours}": folder.read(weight) for weight in folder.weights}
    again.load_state_dict(read, assign=True)
    again = again.to(trained.device).eval()
    dice = torch.Generator().manual_seed(0)
    shape = (2, min(WINDOW, folder.config.sequence))
    tokens = torch.randint(folder.config.size, shape, generator=dice).to(trained.device)
    return float((again(tokens) - trained.model(tokens)).abs().max())
