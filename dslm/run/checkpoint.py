"""Checkpoints that belong to the model and not to the layout.

    step-00000100/
        layer-0003.safetensors             the float32 weights of the layer of index 3
        layer-0003.optimizer.safetensors   their moments, NAME#MOMENT
        state.json                         step, samples, optimizer steps, loss scale
        run.json                           the record of the run, in case its own is lost
        manifest.json                      bytes and sha256 of all of these, written last

The manifest also says at which layout and with which versions it was written, of which nothing
depends: any layout loads it, tensor by tensor. `checkpoint_writer` writes it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any

from dslm import __version__
from dslm.errors import CheckpointError, Problem, UserError
from dslm.files.fingerprint import Expected
from dslm.files.whole import read_json
from dslm.progress import Advance, Progress

FORMAT = 1
"""Version of a checkpoint."""
MOMENTS = ".optimizer.safetensors"
"""How the files end that hold a layer's moments."""


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """The published checkpoints of a run, newest first, as (step, folder)."""
    if not folder.is_dir():
        return []
    found = [(re.fullmatch(r"step-(\d+)", entry.name), entry) for entry in folder.iterdir()]
    return sorted(((int(match[1]), entry) for match, entry in found if match), reverse=True)


def checkpoint_folder(root: Path, step: int) -> Path:
    """The folder of the checkpoint of a step."""
    return root / f"step-{step:08d}"


def layer_file(index: int, moments: bool) -> str:
    """The name of the file with a layer's weights or with their moments."""
    return f"layer-{index:04d}{MOMENTS if moments else '.safetensors'}"


def listed(folder: Path, moments: bool = True) -> tuple[list[Expected], list[Problem]]:
    """The files in the manifest of a checkpoint, or what is wrong with the manifest.

    Args:
        folder: the checkpoint.
        moments: whether those count that only training needs.

    Raises:
        CheckpointError: the checkpoint has a format that this version does not know.
    """
    path, rule = folder / "manifest.json", "is damaged: its sha256 is not the manifest's"
    try:
        manifest = read_json(path)
        check_format(path, manifest["format"], FORMAT, written_by(manifest))
        files = [
            Expected(
                file, int(known["bytes"]), str(known["sha256"]), Problem(str(file), None, rule)
            )
            for name, known in manifest["files"].items()
            if moments or not str(name).endswith(MOMENTS)
            for file in [folder / name]
        ]
    except CheckpointError:
        raise
    except UserError as error:
        return [], list(error.problems)
    except (KeyError, TypeError, ValueError, AttributeError):
        return [], [Problem(str(path), None, "is not a checkpoint's manifest")]
    if folder / "state.json" not in [file.path for file in files]:
        return [], [Problem(str(path), None, "does not name all files of a checkpoint")]
    return files, []


def verify_sizes(folder: Path, moments: bool = True) -> list[Problem]:
    """What is wrong with a checkpoint as far as can be seen without reading its tensors.

    Args:
        folder: the checkpoint.
        moments: whether what only training needs is looked at.
    """
    files, problems = listed(folder, moments)
    return problems + [problem for file in files for problem in _verify_size(file)]


def verify(folder: Path, advance: Advance | None = None) -> list[Problem]:
    """Compare every file of a checkpoint with its manifest.

    Args:
        folder: the checkpoint.
        advance: called with the number of bytes read.

    Raises:
        CheckpointError: the checkpoint has a format that this version does not know.
    """
    files, problems = listed(folder)
    return problems + [problem for file in files for problem in _verify_file(file, advance)]


def _verify_file(file: Expected, advance: Advance | None) -> list[Problem]:
    try:
        return _verify_size(file) or ([] if file.whole(advance) else [file.damage])
    except OSError as error:  # a bad disk harms one file, and the others are looked at
        return [Problem(str(file.path), None, f"cannot be read: {error.strerror}")]


def _verify_size(file: Expected) -> list[Problem]:
    if not file.path.is_file():
        return [Problem(str(file.path), None, "is missing")]
    if (size := file.path.stat().st_size) != file.bytes:
        return [Problem(str(file.path), None, f"has {size} bytes instead of {file.bytes}")]
    return []


def written_by(manifest: Mapping[str, Any]) -> str | None:
    """The version of dslm that wrote a checkpoint, where its manifest says so."""
    versions = manifest.get("versions")
    return str(versions["dslm"]) if isinstance(versions, dict) and "dslm" in versions else None


def check_format(path: Path, found: Any, known: int, by: str | None = None) -> None:
    """Refuse a file that another version of dslm wrote.

    Args:
        path: the file.
        found: its format.
        known: the format that is read.
        by: the version that wrote the file, if it says so.

    Raises:
        CheckpointError: the format found is not the known one.
    """
    if found != known:
        rule = f"this version of dslm ({__version__}) reads {known}"
        fix = f"use dslm {by}, which wrote it" if by else "use the version that wrote it"
        raise CheckpointError(Problem(f"{path}: format", found, rule, fix))


def verify_weights(folder: Path, label: str) -> list[Problem]:
    """Compare the weights of a checkpoint with its manifest, showing the progress."""
    files, problems = listed(folder, moments=False)
    with Progress(sum(file.bytes for file in files), "B", label) as progress:
        return problems + [one for file in files for one in _verify_file(file, progress.advance)]


def total_bytes(folder: Path) -> int:
    """The size of a checkpoint."""
    return sum(file.stat().st_size for file in folder.iterdir())


def newest_good(
    root: Path, check: Callable[[Path], list[Problem]], before: float = inf
) -> tuple[int | None, list[Problem]]:
    """The step of the newest whole checkpoint, and what is wrong with newer ones.

    Args:
        root: the run's folder of checkpoints.
        check: finds what is wrong with a checkpoint: `verify`, or a part of it.
        before: only checkpoints of earlier steps than this are looked at.
    """
    problems: list[Problem] = []
    for step, folder in checkpoints(root):
        if step < before:
            found = check(folder)
            if not found:
                return step, problems
            problems += found
    return None, problems


def read_state(folder: Path) -> dict[str, Any]:
    """The few numbers of a checkpoint."""
    return read_json(folder / "state.json")


def read_weights(folder: Path, layers: Iterable[int] | None = None) -> dict[str, Any]:
    """The weights of a checkpoint by name, without moments; of some layers or of all."""
    from safetensors.torch import load_file

    files = sorted(folder.glob("layer-*[0-9].safetensors"))
    if layers is not None:
        wanted = {layer_file(index, moments=False) for index in layers}
        files = [file for file in files if file.name in wanted]
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def kept(
    steps: Iterable[int], keep: int, keep_every: int | None = None, best: int | None = None
) -> set[int]:
    """The steps whose checkpoints are to stay.

    Args:
        steps: of all checkpoints.
        keep: how many of the newest stay; the newest one always does.
        keep_every: those of every multiple of this step stay too.
        best: so does this one, see `dslm.run.best`.
    """
    newest = sorted(steps, reverse=True)
    apart = {step for step in newest if keep_every is not None and step % keep_every == 0}
    apart |= {step for step in newest if step == best}
    return {*newest[: max(keep, 1)], *apart}


def prune(root: Path, keep: int, keep_every: int | None = None, best: int | None = None) -> None:
    """Remove the checkpoints not `kept`."""
    found = dict(checkpoints(root))
    for step in found.keys() - kept(found, keep, keep_every, best):
        remove(found[step])


def remove(folder: Path) -> None:
    """Remove a checkpoint; a hidden name first, so that none is half there.

    Raises:
        OSError: it cannot be renamed, and is as it was.
    """
    doomed = folder.with_name(f".{folder.name}.removed")
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def unfinished(root: Path) -> list[Path]:
    """The folders that a run is writing or removing, or was when it was killed."""
    return sorted(root.glob(".step-*"))


def remove_unfinished(root: Path) -> None:
    """Remove what a killed run was writing or removing; only under the lock of the run."""
    for folder in unfinished(root):
        shutil.rmtree(folder, ignore_errors=True)
