"""The options that choose a trained model and the text for it, looked at without torch."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from dslm.commands.rounding import as_options, calibration, rounding
from dslm.errors import Problems
from dslm.inference.mistakes import check_language
from dslm.inference.selection import Selected, select
from dslm.shards.shard_set import ShardSet
from dslm.train.missing_shards import open_shards


def selected(options: Namespace, found: Problems) -> Selected | None:
    """The model that the options choose; `None` where there is none, which is noted.

    Args:
        options: those of `add_run`, `add_step` and `add_rounding` among them.
        found: takes what is wrong.
    """
    is_unknown = any(problem.where == "--scheme" for problem in found.problems)
    known = len(found.problems)
    quantization = None if is_unknown else found.collect(rounding, options)
    is_unknown |= len(found.problems) > known
    text = found.collect(calibration, options)
    if is_unknown:
        text = None  # whether it is of use is not known either
    if options.run is None:
        return None
    known = len(found.problems)
    model = found.collect(select, options.run, options.step, quantization, text)
    found.problems[known:] = as_options(found.problems[known:])
    return model


def text_for(model: Selected | None, folder: Path | None, found: Problems) -> ShardSet | None:
    """The shard set given by ``--data``; `None` where it is none for this model, which is noted."""
    shards = None if folder is None else found.collect(open_shards, "--data", folder)
    if model is not None and shards is not None:
        found.collect(check_language, model.folder.path, model.tokenizer, shards)
    return shards
