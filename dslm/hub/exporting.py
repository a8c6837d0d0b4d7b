"""A run as a Hugging Face folder, proved by reading it back before anybody sees it.

FOLDER/
    model.safetensors        the weights by their names, a shared one once
    config.json              the shape, and the ids of the special tokens
    generation_config.json   the same ids, and those that are no tokens; of a causal model
    tokenizer.json           the tokenizer, with the same ids
    tokenizer_config.json    which tokens are special, and the longest text
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dslm.errors import CheckpointError, Problem, Problems, TrainingError, UserError
from dslm.files.published import occupied, published
from dslm.files.whole import write_json, write_text
from dslm.hub.compressed import KEY, check_compressed, compressed, described, linear_maps
from dslm.hub.family import Family
from dslm.hub.folder import SETTINGS, open_folder
from dslm.hub.framing import begun, framed
from dslm.hub.names import weights
from dslm.hub.registry import family_of_model
from dslm.hub.settings import write_settings
from dslm.inference.trained import Trained, load
from dslm.model.config import ModelConfig
from dslm.model.quantize import settle
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.completion import Fill
from dslm.quantization.config import QuantizationConfig
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.tokenizers.tokenizer_json import special_names

TOLERANCE = 1e-5
"""By how much scores of the exported model may differ from the run's."""

WINDOW = 64
"""Tokens of each text on which they are compared, at most."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    difference: float
    """The largest difference between scores of the written model and of the run's."""
    quantization: QuantizationConfig
    """What the weights were rounded to."""


def export_run(
    run: Path,
    folder: Path,
    step: int | None = None,
    quantization: QuantizationConfig | None = None,
    compress: bool = False,
) -> Exported:
    """Write a run's model in Hugging Face's form.

    Args:
        run: the folder of the run.
        folder: the folder to make.
        step: which checkpoint; the newest unless given.
        quantization: what weights are rounded to; as in training unless given.
        compress: whether to write them in few bits, see `dslm.hub.compressed`; else they are
            floats, and the written model rounds no inputs.

    Raises:
        UserError: no such run, a model or tokenizer that cannot be expressed, or the folder is
            there already.
        TrainingError: what was written gives other scores.
    """
    if occupied(folder):
        fix = "remove it or choose another FOLDER"
        raise CheckpointError(Problem(str(folder), None, "is there already", fix))
    trained = load(run, step, quantization, to_use=False)
    if not compress:
        settle(trained.model)
    config, tokenizer = trained.config.model, trained.tokenizer
    found = Problems()
    family = found.collect(family_of_model, config)
    content = found.collect(_tokenizer, trained)
    if compress and family is not None:
        found.problems += check_compressed(family, trained.model)
    if family is None or content is None or found.problems:
        raise UserError(*found.problems)
    config = family.fitting(config)
    ids = _special_ids(trained)
    with published(folder) as target:
        settings = {**write_settings(family, config), **ids, "dtype": "float32"}
        if _causal(trained):
            write_json(target / "generation_config.json", {**ids, **_never(config, tokenizer)})
        tensors = _tensors(family, config, trained)
        if compress and (scheme := trained.quantization.selected):
            rounded, others = linear_maps(family, config, trained.model)
            tensors = compressed(tensors, rounded, scheme)
            settings[KEY] = described(scheme, others)
            settle(trained.model)
        _write_weights(target / "model.safetensors", tensors)
        write_json(target / SETTINGS, settings)
        write_text(target / "tokenizer.json", content)
        write_json(target / "tokenizer_config.json", _tokenizer_settings(trained, content))
        difference = _difference(target, trained)
        if not difference <= TOLERANCE:
            raise TrainingError(
                f"{folder}: the written model's scores differ from the run's by {difference:.2g}, "
                f"more than {TOLERANCE:.0e}: nothing was written"
            )
    return Exported(difference, trained.quantization)


def _causal(trained: Trained) -> bool:
    return trained.config.model.attention == "causal"


def _tokenizer(trained: Trained) -> str:
    """The content of ``tokenizer.json``."""
    content, completion = trained.tokenizer.tokenizer_json(), trained.objective.completion()
    if not isinstance(completion, Fill):
        return begun(content, trained.tokenizer.begin)
    return framed(content, trained.tokenizer, completion, trained.config.model.segments)


def _special_ids(trained: Trained) -> dict[str, int | None]:
    """The ids that `transformers` asks for; null, where it would take other models' otherwise.

    Where nothing marks the beginning of a document, the end of the one before does.
    """
    tokenizer = trained.tokenizer
    end, padding = tokenizer.special.get("eos"), tokenizer.special.get("pad")
    if not _causal(trained):
        return {"bos_token_id": None, "eos_token_id": None, "pad_token_id": padding}
    begin = tokenizer.special.get("bos", end)
    return {"bos_token_id": begin, "eos_token_id": end, "pad_token_id": padding}


def _never(config: ModelConfig, tokenizer: Tokenizer) -> dict[str, list[int]]:
    """Ids that pad the vocabulary, which are never to be chosen."""
    padding = list(range(tokenizer.vocabulary, config.size))
    return {"suppress_tokens": padding} if padding else {}


def _tokenizer_settings(trained: Trained, content: str) -> dict[str, Any]:
    completion, special = trained.objective.completion(), trained.tokenizer.special
    mask = {"mask": completion.mask} if isinstance(completion, Fill) else {}
    names = special_names({**special, **mask}, content)
    ended = _causal(trained) and "eos_token" in names
    begin = {"bos_token": names["eos_token"]} if ended else {}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": trained.config.model.sequence,
        "clean_up_tokenization_spaces": False,
        **({"model_input_names": inputs} if trained.config.model.segments > 1 else {}),
        **begin,
        **names,
    }


def _tensors(family: Family, config: ModelConfig, trained: Trained) -> dict[str, Tensor]:
    """The weights of a shape by their names, zeros for those that the model does without."""
    model = trained.model.state_dict()
    theirs: dict[str, Tensor] = {}
    for weight in weights(family, config):
        ours = model.get(f"layers.{weight.ours}", torch.zeros(weight.shape))
        theirs.update(weight.split(ours.cpu()))
    if not config.tied:
        theirs.update({twin: theirs[name].clone() for twin, name in family.twins.items()})
    return theirs


def _write_weights(path: Path, tensors: dict[str, Tensor]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path, {"format": "pt"})
    except SafetensorError as error:
        raise OSError(str(error)) from error


@torch.no_grad()
def _difference(written: Path, trained: Trained) -> float:
    """The largest difference of scores between what was written and the run's model.

    Of a model that sees all tokens, with segments and padding.
    """
    folder = open_folder(written)
    read = {f"layers.{weight.ours}": folder.read(weight) for weight in folder.weights}
    draws = torch.Generator().manual_seed(0)
    shape = (2, min(WINDOW, folder.config.sequence))
    inputs = {"tokens": torch.randint(folder.config.size, shape, generator=draws)}
    if not _causal(trained):
        inputs["segments"] = torch.randint(folder.config.segments, shape, generator=draws)
        inputs["visibility"] = -(torch.arange(shape[1]) < torch.tensor([[shape[1]], [5]])).long()
    theirs = _scores(folder.config, read, inputs, trained.device)
    ours = _scores(trained.config.model, trained.model.state_dict(), inputs, trained.device)
    found = [(one - other).abs().max() for one, other in zip(theirs, ours, strict=True)]
    return float(torch.stack(found).max())


def _scores(
    config: ModelConfig,
    read: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    device: torch.device,
) -> tuple[Tensor, ...]:
    """What a model makes of tokens and what they carry along."""
    tokens, *extras = (tensor.to(device) for tensor in inputs.values())
    with torch.device("meta"):
        model = Transformer(stages(config, 0, list(inputs)[1:]))
    model.load_state_dict(read, assign=True)
    outputs = model.to(device).eval()((tokens, *extras) if extras else tokens)
    return outputs if isinstance(outputs, tuple) else (outputs,)
