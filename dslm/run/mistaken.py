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


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run, which may have lost its ``run.json``."""
    has_steps = (path / CHECKPOINTS).is_dir()
    return not (path / "manifest.json").exists() and (has_steps or (path / RECORD).is_file())


def runs_in(folder: Path) -> list[Path]:
    """The runs that lie in a folder."""
    return sorted(entry for entry in folder.iterdir() if is_run(entry)) if folder.is_dir() else []


def not_a_run(path: Path, steps: bool = False) -> Problem:
    """What is wrong with a path that is no run.

    Args:
        path: what was given.
        steps: whether the command takes ``--step``.
    """
    if not path.exists():
        reason, fix = _missing(path)
    elif (run := _run_around(path)) is not None:
        reason, fix = _within(path, run, steps)
    elif path.is_dir():
        reason, fix = _other_folder(path)
    else:
        reason, fix = "it is a file", MADE
    return Problem(str(path), None, f"is not the folder of a run: {reason}", fix)


def hub_name(path: Path) -> str | None:
    """What to do about a path that names a model on a hub; `None` where it does not look so."""
    is_name = HUB.fullmatch(str(path)) and (path.parent == Path() or not path.parent.exists())
    if path.exists() or not is_name:
        return None
    made = shlex.quote(f"runs/{path.name}")
    return f"download its files yourself, then type: dslm hub import FOLDER {made}"


def _missing(path: Path) -> tuple[str, str]:
    there = runs_in(path.parent)
    if suggest(path.name, [run.name for run in there]):
        return "it does not exist", suggest(path, there)
    if there:
        return "it does not exist", f"give {_listed(there)}"
    if fix := hub_name(path):
        return "it does not exist, and dslm downloads no model", fix
    return "it does not exist", MADE


def _run_around(path: Path) -> Path | None:
    """The run that a file or folder lies in, named as the path is."""
    above = next((one for one in list(path.absolute().parents)[:3] if is_run(one)), None)
    return above if above is None or path.is_absolute() else Path(os.path.relpath(above))


def _within(path: Path, run: Path, steps: bool) -> tuple[str, str]:
    step = STEP.fullmatch(path.name)
    give = f"give {_shown(run)}"
    if step is None:
        return "it lies in one", give
    number = int(step[1])
    option = f" --step {number}" if steps else ""
    return f"it is the checkpoint of step {number} of one", give + option


def _other_folder(path: Path) -> tuple[str, str]:
    runs = runs_in(path)
    if runs:
        verb = "is one" if len(runs) == 1 else f"are {len(runs)}"
        return f"in it there {verb}", f"give {_listed(runs)}"
    if (path / "config.json").is_file():
        name = _shown(Path("runs", path.absolute().name))
        command = f"dslm hub import {_shown(path)} {name}"
        return "it is a model in Hugging Face's form", f"make a run of it: {command}"
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
