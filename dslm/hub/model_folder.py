"""A folder as `transformers` loads it: weights, config.json and the tokenizer of a run.

FOLDER/
    model.safetensors        the weights by their names, a shared one once
    config.json              the shape, and the ids of the special tokens
    generation_config.json   the same ids, and those that are no tokens; of a model that writes text
    tokenizer.json           the tokenizer, with the same ids
    tokenizer_config.json    which tokens are special, and the longest text
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dslm.errors import Problem, Problems
from dslm.files.whole import write_json, write_text
from dslm.hub.families import SETTINGS
from dslm.hub.family import Family
from dslm.hub.folder import open_folder
from dslm.hub.formats import ReadBack, Written
from dslm.hub.framing import begun, framed, framed_examples, padding_of, paired
from dslm.hub.labels import check_labels, task_of, written_labels
from dslm.hub.names import weights
from dslm.hub.pairing import WRITING
from dslm.hub.registry import family_of_model
from dslm.hub.settings import write_settings
from dslm.inference.trained import Trained
from dslm.model.config import ModelConfig
from dslm.model.quantize import rounded_weights
from dslm.objectives.completion import Fill, Restore
from dslm.tasks.coder import Coder
from dslm.tokenizers.pair_frame import PairFrame
from dslm.tokenizers.tokenizer_json import special_names


def check_model_folder(trained: Trained) -> list[Problem]:
    """What of a model and its tokenizer cannot be expressed."""
    found = Problems()
    found.collect(family_of_model, trained.config.model, task_of(trained.config))
    found.problems += check_labels(trained)
    found.collect(_tokenizer, trained)
    return found.problems


def write_model(
    trained: Trained,
    family: Family,
    target: Path,
    tensors: dict[str, Tensor],
    rounded: int,
    more: Mapping[str, Any] | None = None,
    why: str = "",
) -> Written:
    """Write a model into an empty folder.

    Args:
        trained: the model.
        family: in whose words.
        target: the folder.
        tensors: its weights by their names.
        rounded: bytes of those that are rounded.
        more: what config.json says besides.
        why: why this family, if it is not the usual one.
    """
    config = written_shape(family, trained)
    content, ids = _tokenizer(trained), _special_ids(trained)
    settings = {**write_settings(family, config), **written_labels(trained), **ids}
    settings |= {"dtype": "float32", **(more or {})}
    if _causal(trained) and not config.classes:
        write_json(target / WRITING, {**ids, **_writing(trained)})
    write_tensors(target / "model.safetensors", tensors)
    write_json(target / SETTINGS, settings)
    write_text(target / "tokenizer.json", content)
    write_json(target / "tokenizer_config.json", _tokenizer_settings(trained, content))
    name = settings["architectures"][0]
    load = f"transformers.{name}.from_pretrained({{}})".format
    return Written(name, lambda path: load(repr(str(path))), rounded, why)


def read_model(target: Path) -> ReadBack:
    """What a folder holds."""
    folder = open_folder(target)
    read = {f"layers.{weight.ours}": folder.read(weight) for weight in folder.weights}
    schemes = folder.schemes().items()
    inputs = {name: one.activations for name, one in schemes if one.activations is not None}
    return ReadBack(folder.config, read, inputs)


def written_shape(family: Family, trained: Trained) -> ModelConfig:
    """The shape in which a model is written: where padding is added, it has a vector for it."""
    config = family.fitting(trained.config.model)
    if not config.classes:
        return config
    return replace(config, vocabulary=max(config.size, padding_of(_coder(trained)) + 1))


def tensors_of(family: Family, trained: Trained, rounded: bool) -> dict[str, Tensor]:
    """The weights of a model by a family's names, zeros for those or rows that it does without.

    Args:
        family: whose names to use.
        trained: the model.
        rounded: whether those of layers that round are on their grid, or as training keeps them.
    """
    config, model = written_shape(family, trained), trained.model.state_dict()
    if rounded:
        model |= rounded_weights(trained.model)
    theirs: dict[str, Tensor] = {}
    for weight in weights(family, config):
        whole, ours = torch.zeros(weight.shape), model.get(f"layers.{weight.ours}")
        if ours is not None:
            whole[: len(ours)] = ours
        theirs.update(weight.split(whole))
    if not config.tied:
        theirs.update({twin: theirs[name].clone() for twin, name in family.twins.items()})
    theirs.update({name: torch.zeros(shape(config)) for name, shape in family.zeros.items()})
    return theirs


def _causal(trained: Trained) -> bool:
    return trained.config.model.attention == "causal"


def _tokenizer(trained: Trained) -> str:
    """The content of ``tokenizer.json``."""
    if trained.config.model.classes:
        segmented = "segments" in trained.objective.extras
        return framed_examples(trained.tokenizer.tokenizer_json(), _coder(trained), segmented)
    content, completion = trained.tokenizer.tokenizer_json(), trained.objective.completion()
    if trained.config.model.encoder_layers:
        return paired(content, trained.tokenizer, _frame(trained), _marks(trained))
    if not isinstance(completion, Fill):
        return begun(content, trained.tokenizer.begin)
    return framed(content, trained.tokenizer, completion, trained.config.model.segments)


def _coder(trained: Trained) -> Coder:
    """What makes the examples of a task."""
    model = trained.config.model
    return Coder(trained.tokenizer, model.attention == "full", model.sequence)


def _special_ids(trained: Trained) -> dict[str, int | None]:
    """The ids that `transformers` asks for; null, where it would take other models' otherwise.

    Where nothing marks the beginning of a document, the end of the one before does.
    """
    tokenizer, completion = trained.tokenizer, trained.objective.completion()
    end, padding = tokenizer.special.get("eos"), _padding(trained)
    if trained.config.model.encoder_layers:
        frame = _frame(trained)
        return {
            "bos_token_id": tokenizer.special.get("bos"),
            "eos_token_id": frame.end,
            "pad_token_id": frame.end if padding is None else padding,
            "decoder_start_token_id": frame.begin,
        }
    if not _causal(trained):
        return {"bos_token_id": None, "eos_token_id": None, "pad_token_id": padding}
    begin = tokenizer.special.get("bos", end)
    if isinstance(completion, Restore) and completion.one_text:
        end = completion.frame.end  # of a chat it may be another one than that of a document
    return {"bos_token_id": begin, "eos_token_id": end, "pad_token_id": padding}


def _padding(trained: Trained) -> int | None:
    """The id that fills up texts."""
    if trained.config.model.classes:
        return padding_of(_coder(trained))
    return trained.tokenizer.special.get("pad")


def _writing(trained: Trained) -> dict[str, Any]:
    """What else `transformers` needs to write as we do: ids that are forced, and ids that are not.

    Those that pad the vocabulary are never to be chosen.
    """
    known, size, never = trained.tokenizer.vocabulary, trained.config.model.size, list[int]()
    forced: tuple[int, ...] = ()
    if trained.config.model.encoder_layers:
        frame = _frame(trained)
        never, forced = [frame.begin] * (frame.begin >= known), frame.forced
        known = max(known, frame.end + 1, frame.begin + 1, *(one + 1 for one in _marks(trained)))
    never += range(known, size)
    found: dict[str, Any] = {"suppress_tokens": never} if never else {}
    return {**found, **({"forced_bos_token_id": forced[0]} if forced else {})}


def _frame(trained: Trained) -> PairFrame:
    """The ids around a source and a target."""
    return trained.objective.context.vocabulary.frame


def _marks(trained: Trained) -> tuple[int, ...]:
    """What stands for gaps in a source."""
    completion = trained.objective.completion()
    return completion.marks if isinstance(completion, Restore) else ()


def _tokenizer_settings(trained: Trained, content: str) -> dict[str, Any]:
    completion, special = trained.objective.completion(), trained.tokenizer.special
    two = trained.config.model.encoder_layers > 0
    more = {"mask": completion.mask} if isinstance(completion, Fill) else {}
    more |= {"eos": _frame(trained).end} if two else {}
    more |= {} if (padding := _padding(trained)) is None else {"pad": padding}
    names = special_names({**special, **more}, content)
    template = trained.tokenizer.card.chat_template
    ended = _causal(trained) and not two and "eos_token" in names
    begins = ended and template is None  # a template would render it, which it does not here
    begin = {"bos_token": names["eos_token"]} if begins else {}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": trained.config.model.sequence,
        "clean_up_tokenization_spaces": False,
        **({"model_input_names": inputs} if trained.config.model.segments > 1 else {}),
        **({} if template is None else {"chat_template": template}),
        **begin,
        **names,
    }


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file as `transformers` reads it.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path, {"format": "pt"})
    except SafetensorError as error:
        raise OSError(str(error)) from error
