"""Which ids an encoder–decoder of others has around a source and its target.

They come from three places: what the model's settings say of writing (in generation_config.json
where there is one, else in config.json), what the tokenizer puts around a text, and where one of
these says nothing, the family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dslm.errors import CheckpointError, Problem
from dslm.files.whole import read_json
from dslm.hub.families import SETTINGS
from dslm.hub.folder import Folder
from dslm.tokenizers.frame import NONE
from dslm.tokenizers.pair_frame import PairFrame
from dslm.tokenizers.tokenizer import Tokenizer

WRITING = "generation_config.json"
"""The file that says how `transformers` writes with a model."""


def special_id(folder: Folder, name: str) -> int | None:
    """The id that a model's settings name, the first if there are several."""
    given = folder.settings.get(f"{name}_token_id", folder.family.ids.get(name))
    number = given[0] if isinstance(given, list) and given else given
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def pair_frame(folder: Folder, tokenizer: Tokenizer) -> PairFrame | None:
    """The ids around source and target; `None` for a model of one stack.

    Raises:
        UserError: an id that is needed is missing, or is none of the model's.
    """
    if not folder.config.encoder_layers:
        return None
    path = folder.path / WRITING
    writing = read_json(path) if path.is_file() else folder.settings
    begin = _written(writing, "decoder_start")
    begin = special_id(folder, "decoder_start") if begin is None else begin
    begin = special_id(folder, "pad") if begin is None else begin
    forced = _written(writing, "forced_bos")
    end = special_id(folder, "eos")
    known = {name: special_id(folder, name) for name in ("bos", "eos")}
    around: Sequence[Sequence[int | None]] = tokenizer.frame
    if tokenizer.frame == NONE and tokenizer.kind != "hugging-face":
        around = [[known[name] for name in part] for part in folder.family.frame]
    before, behind = around
    found: dict[str, Sequence[int | None]] = {
        "decoder_start_token_id": [begin],
        "eos_token_id": [end],
        "bos_token_id": before,
    }
    found["forced_bos_token_id"] = [] if forced is None else [forced]
    size = folder.config.size
    problems = [
        Problem(f"{folder.path / SETTINGS}: {name}", number, rule)
        for name, numbers in found.items()
        for number in numbers
        if (rule := _wrong(number, size))
    ]
    if problems or begin is None or end is None:
        raise CheckpointError(*problems)
    opening = tuple(number for number in before if number is not None)
    return PairFrame(
        begin=begin,
        end=end,
        before=opening,
        behind=tuple(number for number in behind if number is not None),
        opening=opening,
        forced=() if forced is None else (forced,),
    )


def _written(writing: Mapping[str, Any], name: str) -> int | None:
    number = writing.get(f"{name}_token_id")
    return number if isinstance(number, int) else None


def _wrong(number: int | None, size: int) -> str:
    """Why an id cannot be used; empty if it can."""
    if number is None:
        return "is required, as texts are written behind it or up to it"
    return "" if 0 <= number < size else f"is none of the model's {size} ids"
