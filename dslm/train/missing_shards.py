"""The shard set that a setting or an option names; where it is none, what there is instead."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dslm.config.likely import word
from dslm.errors import DataError, Problem, UserError, nearest
from dslm.progress import counted
from dslm.run.folder import RunFolder
from dslm.run.mistaken import is_run
from dslm.run.paths import is_held_out
from dslm.shards.manifest import FILE
from dslm.shards.shard_set import ShardSet

SHIPPED = Path("shards")
"""Where the documents put shard sets."""


def open_shards(key: str, folder: Path) -> ShardSet:
    """The shard set that a folder holds.

    Args:
        key: the setting that names it, or the option, with its dashes.
        folder: the folder.

    Raises:
        DataError: it holds none, or a broken one.
    """
    if problem := _missing(key, folder):
        raise DataError(problem)
    return ShardSet.open(folder)


def _missing(key: str, path: Path) -> Problem | None:
    """Why a folder is no shard set; `None` where it looks like one."""
    folder = str(path)
    if (path / FILE).exists():
        return None
    if is_run(path):
        rule = "is the folder of a run, not a shard set"
        return Problem(key, folder, rule, f"give shards, such as {_read_by(path, key)}")
    if path.is_file() and (path.parent / FILE).exists():
        return Problem(key, folder, "is a file of a shard set", _give(key, path.parent))
    inner = sorted(found.parent for found in path.glob(f"*/{FILE}"))
    if inner:
        rule = f"is no shard set, but holds {counted(len(inner), 'shard set')}"
        return Problem(key, folder, rule, _one_of(key, inner))
    if path.exists():
        what = "folder" if path.is_dir() else "file"
        return Problem(key, folder, f"the {what} is not a shard set", _make(key, folder))
    sets = {str(found.parent): found.parent.name for found in _near(path)}
    name = nearest(path.name, sets.values())
    near = nearest(folder, sets) or next((one for one in sets if sets[one] == name), None)
    fix = f"did you mean {near!r}?" if near else "make one with preprocess/shard.py"
    return Problem(key, folder, "no such shard set", fix)


def _one_of(key: str, sets: Sequence[Path]) -> str:
    """What to give for a folder of shard sets: those by whose names the key can be meant."""
    held_out = [one for one in sets if is_held_out(one)]
    trained = [one for one in sets if one not in held_out]
    if _is_option(key):
        return _give(key, *sets)
    if key != "data.train":
        return _give(key, (held_out or trained)[0])
    fix = _give(key, (trained or held_out)[0])
    if len(trained) > 1:
        fix += f", or for all: {word(key, [str(one) for one in trained])}"
    if trained and held_out:
        fix += f", with {word('data.validation', str(held_out[0]))} to measure the loss"
    return fix


def _near(path: Path) -> list[Path]:
    """The manifests of shard sets beside a folder and where the documents put them."""
    return [found for near in {path.parent, SHIPPED} for found in sorted(near.glob(f"*/{FILE}"))]


def _read_by(run: Path, key: str) -> str:
    """The shards that a run was measured with, or trained on; what they are where it is unknown."""
    with suppress(UserError):
        data = RunFolder(run).read_config().data
        train = data.train if isinstance(data.train, str) else next(iter(data.train), None)
        if named := train if key == "data.train" else data.validation or train:
            return named
    return "those that preprocess/shard.py made"


def _make(key: str, text: str) -> str:
    """How a shard set is made of a text: for a run that is there, or to begin one."""
    tokenizer, name = ("RUN/tokenizer", "text") if _is_option(key) else ("FOLDER", "train")
    made = f"--input {shlex.quote(text)} --output {SHIPPED / name} --tokenizer {tokenizer}"
    return f"make one with preprocess/shard.py {made}"


def _give(key: str, *sets: Path) -> str:
    """What to type for a set."""
    if not _is_option(key):
        return f"write {word(key, str(sets[0]))}"
    names = [shlex.quote(str(one)) for one in sets]
    return f"give {names[0]}" if len(names) == 1 else f"give one of {', '.join(names)}"


def _is_option(key: str) -> bool:
    return key.startswith("--")
