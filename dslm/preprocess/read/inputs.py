"""From what a user names to the inputs: files, and folders that `datasets` saved."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from dslm.errors import DataError, Problem, suggest
from dslm.files.arrow import is_dataset
from dslm.files.fingerprint import Input, file_sha256
from dslm.files.names import alternatives, printable
from dslm.files.streams import unreadable
from dslm.preprocess.read.kinds import file_sizes, kind
from dslm.progress import Advance

SPLITS = "dataset_dict.json"
"""What `datasets` writes beside the folders of its splits."""


def expand(patterns: Iterable[str]) -> list[Path]:
    """The inputs that patterns name, sorted, each once.

    Args:
        patterns: files, folders, or patterns with ``*``, ``?``, ``[…]`` and ``**``. A folder
            stands for all files below it whose names do not begin with a dot.

    Raises:
        DataError: with one problem for each pattern that names no file and for each file that
            cannot be read.
    """
    problems: list[Problem] = []
    found: dict[str, Path] = {}
    for pattern in dict.fromkeys(patterns):
        try:
            for path in _named(pattern):
                found.setdefault(os.path.realpath(path), path)
        except DataError as error:
            problems.extend(error.problems)
    datasets = tuple(f"{real}{os.sep}" for real, path in found.items() if path.is_dir())
    inputs = sorted(path for real, path in found.items() if not real.startswith(datasets))
    for path in inputs:
        try:
            _check(path)
        except DataError as error:
            problems.extend(error.problems)
    if problems:
        raise DataError(*problems)
    return inputs


def _named(pattern: str) -> list[Path]:
    """The inputs that one pattern names, at least one."""
    there = os.path.exists(pattern)
    if os.path.isdir(pattern):
        paths, rule = list(_below(Path(pattern))), "holds no files"
        fix = "give files, or a folder with some"
    else:
        names = [pattern] if there else glob.glob(pattern, recursive=True)
        paths = [path for path in map(Path, names) if path.is_file() or is_dataset(path)]
        rule = "is no regular file" if there else "no such file"
        fix = "pipe it in as -" if there else _instead(Path(pattern))
    if not paths:
        raise DataError(Problem(printable(pattern), None, rule, fix))
    return paths


def _instead(path: Path) -> str:
    """What there is where a path or a pattern has led nowhere."""
    folder = next(one for one in (*path.parents, Path()) if one.is_dir())
    if folder != path.parent:
        missing = path.relative_to(folder).parts[0]
        near = suggest(missing, [one.name for one in folder.iterdir() if one.is_dir()])
        return f"there is no {missing} in {printable(str(folder.absolute()))}; {near}".rstrip("; ")
    names = sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))
    return alternatives(path.name, names)


def _check(path: Path) -> None:
    """Refuse a file that cannot be read, or not be named in a manifest."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        where = printable(str(path))
        raise DataError(Problem(where, None, "its name is not UTF-8", "rename it")) from None
    kind(path)


def _below(folder: Path) -> Iterator[Path]:
    """The inputs in a folder and in those below it; a saved data set is one."""
    if is_dataset(folder):
        yield folder
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error) from None
    for entry in entries:
        if entry.name.startswith(".") or entry.name == SPLITS:
            continue
        if entry.is_dir():
            yield from _below(entry)
        elif entry.is_file():
            yield entry


def describe(path: Path, folder: Path, advance: Advance | None = None) -> Input:
    """Name, size and hash of an input; reads all of it.

    Args:
        path: an input from `expand`.
        folder: the folder below which it is named.
        advance: called with the bytes read.

    Returns:
        For a saved data set the sizes of its Arrow files together, and the hash of their hashes.

    Raises:
        DataError: it cannot be read.
    """
    sizes = file_sizes(path)
    try:
        hashes = [file_sha256(file, advance) for file, _ in sizes]
    except OSError as error:
        raise unreadable(path, error) from None
    joined = hashlib.sha256("".join(hashes).encode()).hexdigest()
    return Input(
        name=name_of(path, folder),
        bytes=sum(size for _, size in sizes),
        sha256=joined if path.is_dir() else hashes[0],
    )


def name_of(path: Path, folder: Path) -> str:
    """What an input is called: its path below a folder."""
    return Path(os.path.abspath(path)).relative_to(folder).as_posix()


def common_folder(paths: Iterable[Path]) -> Path:
    """The deepest folder that holds all the inputs; links are not followed."""
    return Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]))
