"""The inputs as the file system describes them: enough to see that one has changed, and cheap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dslm.files.arrow import input_files
from dslm.files.fingerprint import Input
from dslm.preprocess.read.inputs import common_folder, describe, name_of
from dslm.progress import Advance


def states(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """The inputs by name; of each the sizes of its files and when they were changed.

    Raises:
        OSError: one does not exist.
    """
    folder = common_folder(paths)
    return [(name_of(path, folder), _state(path)) for path in paths]


def are_those(
    paths: Sequence[Path], known: Sequence[Input], prove: bool, progress: Advance | None
) -> bool:
    """Whether inputs have the names, the sizes and, as far as one can see, the content of others.

    Args:
        paths: the inputs.
        known: those that a manifest names.
        prove: compare the hashes too, for which all is read.
        progress: called with the bytes read.
    """
    folder = common_folder(paths)
    sizes = [sum(file.stat().st_size for file in input_files(path)) for path in paths]
    names = [name_of(path, folder) for path in paths]
    if names != [one.name for one in known] or sizes != [one.bytes for one in known]:
        return False
    pairs = zip(paths, known, strict=True)
    return not prove or all(describe(path, folder, progress) == one for path, one in pairs)


def _state(path: Path) -> str:
    """Bytes and time of change, in nanoseconds, of the files of an input."""
    found = [file.stat() for file in input_files(path)]
    return " ".join(f"{one.st_size}@{one.st_mtime_ns}" for one in found)
