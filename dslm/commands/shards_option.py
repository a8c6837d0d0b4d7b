"""The shard set that an option names; what is given in its place is told from it."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path

from dslm.errors import DataError, Problem, UserError, suggest
from dslm.run.folder import RunFolder
from dslm.run.mistaken import is_run
from dslm.shards.manifest import folder_of_sets, sets_in
from dslm.shards.shard_set import ShardSet


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
        near = suggest(given, sets_in(folder.parent))
        return Problem(option, given, "no such shard set", near) if near else None
    return folder_of_sets(folder, option, given)


def _read_by(run: Path) -> str:
    """The shards that a run was measured with, or trained on; what they are where it is unknown."""
    with suppress(UserError):
        data = RunFolder(run).read_config().data
        train = data.train if isinstance(data.train, str) else next(iter(data.train), None)
        if named := data.validation or train:
            return named
    return "those that preprocess/shard.py made"
