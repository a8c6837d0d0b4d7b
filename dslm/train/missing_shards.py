"""What to say where there is no shard set: what there is instead, and what to type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dslm.config.likely import word
from dslm.errors import Problem, nearest
from dslm.progress import counted
from dslm.run.paths import is_held_out
from dslm.shards.manifest import FILE

SHIPPED = Path("shards")
"""Where the documents put shard sets."""


def missing(key: str, folder: str) -> Problem | None:
    """Why a folder is no shard set; `None` where it looks like one.

    Args:
        key: the setting that names it.
        folder: the folder.
    """
    path = Path(folder)
    if (path / FILE).exists():
        return None
    if path.is_file() and (path.parent / FILE).exists():
        return Problem(key, folder, "is a file of a shard set", _write(key, path.parent))
    inner = sorted(found.parent for found in path.glob(f"*/{FILE}"))
    if inner:
        rule = f"is no shard set, but holds {counted(len(inner), 'shard set')}"
        return Problem(key, folder, rule, _one_of(key, inner))
    make = "make one with preprocess/shard.py"
    if path.exists():
        what = "folder" if path.is_dir() else "file"
        fix = f"{make} --input {folder} --output {SHIPPED}/train --tokenizer FOLDER"
        return Problem(key, folder, f"the {what} is not a shard set", fix)
    sets = {str(found.parent): found.parent.name for found in _near(path)}
    name = nearest(path.name, sets.values())
    near = nearest(folder, sets) or next((one for one in sets if sets[one] == name), None)
    return Problem(key, folder, "no such shard set", f"did you mean {near!r}?" if near else make)


def _one_of(key: str, sets: Sequence[Path]) -> str:
    """What to write for a folder of shard sets: those by whose names the key can be meant."""
    held_out = [one for one in sets if is_held_out(one)]
    trained = [one for one in sets if one not in held_out]
    if key != "data.train":
        return _write(key, (held_out or trained)[0])
    fix = _write(key, (trained or held_out)[0])
    if len(trained) > 1:
        fix += f", or for all: {word(key, [str(one) for one in trained])}"
    if trained and held_out:
        fix += f", with {word('data.validation', str(held_out[0]))} to measure the loss"
    return fix


def _near(path: Path) -> list[Path]:
    """The manifests of shard sets beside a folder and where the documents put them."""
    return [found for near in {path.parent, SHIPPED} for found in sorted(near.glob(f"*/{FILE}"))]


def _write(key: str, folder: Path) -> str:
    return f"write {word(key, str(folder))}"
