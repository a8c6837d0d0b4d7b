"""The options that choose a trained model and the text for it, looked at without torch."""

from __future__ import annotations

import shlex
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

from dslm.commands.rounding import as_options, calibration, rounding
from dslm.errors import DataError, Problem, Problems, UserError, suggest
from dslm.inference.mistakes import check_language
from dslm.inference.selection import Selected, select
from dslm.run.folder import RunFolder
from dslm.run.mistaken import is_run
from dslm.shards.manifest import FILE
from dslm.shards.shard_set import ShardSet


def selected(options: Namespace, found: Problems) -> Selected | None:
    """The model that the options choose; `None` where there is none, which is noted.

    Args:
        options: those of `add_run`, `add_step` and `add_rounding` among them.
        found: takes what is wrong.
    """
    known = len(found.problems)
    quantization = found.collect(rounding, options)
    text = found.collect(calibration, options)
    if len(found.problems) > known:
        text = quantization = None  # what is wrong with them has been noted
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


def open_shards(option: str, folder: Path) -> ShardSet:
    """The shard set that an option names.

    Raises:
        DataError: it is none; where it is something else that dslm knows, with what to give.
    """
    try:
        return ShardSet.open(folder)
    except DataError:
        if (problem := _not_shards(option, folder)) is not None:
            raise DataError(problem) from None
        raise


def _not_shards(option: str, folder: Path) -> Problem | None:
    """What a path is that is no shard set, if that is known."""
    given = str(folder)
    if is_run(folder):
        rule = "is the folder of a run, not a shard set"
        return Problem(option, given, rule, f"give shards, such as {_read_by(folder)}")
    if folder.is_file():
        rule, made = "is a file, not a shard set", "shards/text"
        text = shlex.quote(given)
        fix = f"python preprocess/shard.py --input {text} --tokenizer RUN/tokenizer --output {made}"
        return Problem(option, given, rule, f"make one: {fix}")
    if not folder.exists():
        near = suggest(given, _sets_in(folder.parent))
        return Problem(option, given, "no such shard set", near) if near else None
    if sets := _sets_in(folder):
        rule, fix = "is no shard set, but holds some", f"give one of {', '.join(map(str, sets))}"
        return Problem(option, given, rule, fix)
    return None


def _sets_in(folder: Path) -> list[Path]:
    """The shard sets that lie in a folder."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry for entry in entries if (entry / FILE).is_file())


def _read_by(run: Path) -> str:
    """The shards that a run was measured with, or trained on; what they are where it is unknown."""
    with suppress(UserError):
        data = RunFolder(run).read_config().data
        train = data.train if isinstance(data.train, str) else next(iter(data.train), None)
        if named := data.validation or train:
            return named
    return "those that preprocess/shard.py made"
