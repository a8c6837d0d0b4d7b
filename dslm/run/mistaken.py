"""What a path is that was given for the folder of a run, and what to give instead.

Wherever a run is opened, what cannot be one is answered by `not_a_run`; wherever a shard set or a
model's files are opened, `is_run` tells a run from them.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from dslm.errors import Problem, suggest

RECORD, CHECKPOINTS = "run.json", "checkpoints"
STEP = re.compile(r"step-(\d+)")
HUB = re.compile(r"[\w.-]+(/[\w.-]+)?")
"""How models are named on a hub: with an organization, or without."""
MADE = "give the folder that pretrain made (run=)"
SHOWN = 8
"""Runs that are listed by name."""
Instead = list[Path] | str
"""Runs one of which can be given instead, or what else to do."""


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run, which may have lost its ``run.json``."""
    has_steps = (path / CHECKPOINTS).is_dir()
    return not (path / "manifest.json").exists() and (has_steps or (path / RECORD).is_file())


def runs_in(folder: Path) -> list[Path]:
    """The runs that lie in a folder."""
    return sorted(entry for entry in folder.iterdir() if is_run(entry)) if folder.is_dir() else []


def not_a_run(path: Path, steps: bool = False, key: str | None = None) -> Problem:
    """What is wrong with a path that is no run.

    Args:
        path: what was given.
        steps: whether the command takes ``--step``.
        key: the setting that it was given for; `None` for a word of a command.
    """
    if not path.exists():
        reason, instead = _missing(path)
    elif (run := _run_around(path)) is not None:
        reason, instead = _within(path, run, steps)
    else:
        reason, instead = _something_else(path)
    rule = f"is not the folder of a run: {reason}"
    if key is None:
        fix = instead if isinstance(instead, str) else f"give {_listed(instead)}"
        return Problem(str(path), None, rule, fix)
    if not isinstance(instead, str):
        one = _listed(instead) if len(instead) == 1 else f"RUN, {_listed(instead)}"
        instead = f"write {key}={one}"
    return Problem(key, str(path), rule, instead)


def hub_name(path: Path) -> str | None:
    """What to do about a path that names a model on a hub; `None` where it does not look so."""
    is_name = HUB.fullmatch(str(path)) and (path.parent == Path() or not path.parent.exists())
    if path.exists() or not is_name:
        return None
    made = shlex.quote(f"runs/{path.name}")
    return f"download its files yourself, then type: dslm hub import FOLDER {made}"


def _missing(path: Path) -> tuple[str, Instead]:
    there = runs_in(path.parent)
    if suggest(path.name, [run.name for run in there]):
        return "it does not exist", suggest(path, there)
    if there:
        return "it does not exist", there
    if fix := hub_name(path):
        return "it does not exist, and dslm downloads no model", fix
    return "it does not exist", MADE


def _run_around(path: Path) -> Path | None:
    """The run that a file or folder lies in, named as the path is."""
    above = next((one for one in list(path.absolute().parents)[:3] if is_run(one)), None)
    return above if above is None or path.is_absolute() else Path(os.path.relpath(above))


def _within(path: Path, run: Path, steps: bool) -> tuple[str, Instead]:
    step = STEP.fullmatch(path.name)
    if step is None:
        return "it lies in one", [run]
    number = int(step[1])
    reason = f"it is the checkpoint of step {number} of one"
    return reason, f"give {_shown(run)} --step {number}" if steps else [run]


def _something_else(path: Path) -> tuple[str, Instead]:
    runs = runs_in(path)
    if runs:
        verb = "is one" if len(runs) == 1 else f"are {len(runs)}"
        return f"in it there {verb}", runs
    model = path if path.is_dir() else path.parent
    if (model / "config.json").is_file():
        what = "it is" if path.is_dir() else "it is a file of"
        name = _shown(Path("runs", model.absolute().name))
        command = f"dslm hub import {_shown(model)} {name}"
        return f"{what} a model in Hugging Face's form", f"make a run of it: {command}"
    if path.is_file():
        return "it is a file", MADE
    if (path / "manifest.json").is_file():
        return "it is a shard set", f"{MADE}, not what it was trained on"
    if (path / "card.json").is_file() or (path / "tokenizer.json").is_file():
        return "it is a tokenizer", MADE
    return "it has no run.json", MADE


def _listed(runs: list[Path]) -> str:
    """The runs by name, the last of many left out."""
    names = [_shown(run) for run in runs[:SHOWN]]
    if len(runs) > SHOWN:
        return f"one of {', '.join(names)} and {len(runs) - SHOWN} more"
    return " or ".join(names) if len(names) < 3 else f"one of {', '.join(names)}"


def _shown(path: Path) -> str:
    """A path as it is typed in a shell."""
    return shlex.quote(path.as_posix())
