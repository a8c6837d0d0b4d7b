"""What is wrong with what ``shard`` and ``train_tokenizer`` were asked for, all of it at once.

Nothing has been made by then, and only the first records of the text have been read.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dslm.commands.shard_config import PreprocessingConfig
from dslm.commands.text_options import count, reading, size
from dslm.errors import DataError, Problem, Problems
from dslm.files.published import occupied
from dslm.preprocess.clean.pipeline import Cleaner
from dslm.preprocess.read.inputs import expand
from dslm.preprocess.work.folder import WorkFolder
from dslm.preprocess.work.known import known_sets
from dslm.preprocess.work.plan import ONLY
from dslm.preprocess.work.preview import preview
from dslm.preprocess.work.split import Split, too_coarse
from dslm.shards.manifest import FILE
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer

STDIN = "-"
KINDS = {"workers": count, "shard_size": size}
"""What reads options of ``shard`` alone; see `text_options.convert`."""


def check(options: argparse.Namespace, found: Problems, tasks: int) -> None:
    """Find the mistakes that all ranks would find.

    Args:
        options: those of ``shard``, converted.
        found: what is wrong with them already.
        tasks: processes started for the same output.

    Raises:
        DataError: with everything.
    """
    config = found.collect(PreprocessingConfig.read, options.clean, options.words)
    if config:
        found.collect(Cleaner, config.cleaning)
    found.collect(known_sets, tuple(dict.fromkeys(options.against)))
    found.collect(open_tokenizer, options.tokenizer)
    split = found.collect(Split.read, options.split) if options.split is not None else None
    paths = found.collect(expand, [pattern for pattern in options.input if pattern != STDIN])
    found.problems += _paths(options, paths or [], split)
    if options.against and config and not config.duplicates.any:
        rule, fix = "has no effect: no duplicates are looked for", "add duplicates.documents=true"
        found.problems.append(Problem("--against", str(options.against[0]), rule, fix))
    if STDIN in options.input and tasks > 1:
        rule = "only one of several processes can read standard input"
        found.problems.append(Problem("--input", STDIN, rule, "write it to a file first"))
    if split and paths and STDIN not in options.input and not found.problems:
        found.problems += too_coarse(split, paths, reading(options))
    if STDIN not in options.input:
        look(paths or [], options, found)
    if found.problems:
        raise DataError(*found.problems)


def look(paths: Sequence[Path], options: argparse.Namespace, found: Problems) -> None:
    """Find what is wrong with the first records, unless something is wrong with how to read them.

    Args:
        paths: the inputs.
        options: those of `text_options`, converted.
        found: takes what is wrong.
    """
    names = ("--longest", "--max-bad", "--delimiter", "--quote")
    if paths and not any(problem.where in names for problem in found.problems):
        found.problems += preview(paths, reading(options), options.max_bad)


def open_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer at a path.

    Raises:
        DataError: there is none.
    """
    if not path.exists():
        rule = "there is no such folder or file, and nothing is downloaded"
        fix = "give the folder of a tokenizer, such as one from preprocess/train_tokenizer.py"
        raise DataError(Problem("--tokenizer", str(path), rule, fix))
    return load_tokenizer(path)


def _paths(
    options: argparse.Namespace, paths: Sequence[Path], split: Split | None
) -> list[Problem]:
    """What is written may not be read, now or when the command is repeated."""
    read = {path.resolve() for path in (*paths, *map(Path, options.input)) if path.is_dir()}
    problems = [
        Problem(name, str(path), "lies in a folder that is read", "choose a path outside")
        for name, path in (("--output", options.output), ("--rejects", options.rejects))
        if path is not None and not read.isdisjoint(path.resolve().parents)
    ]
    begun = occupied(options.output) or WorkFolder.beside(options.output).begun
    if options.rejects is not None and options.rejects.exists() and not begun:
        rule = "there is such a file already"
        problems.append(Problem("--rejects", str(options.rejects), rule, "choose another name"))
    sets = [options.output / name for name in (split.names if split else [ONLY])]
    if occupied(options.output) and not any((one / FILE).exists() for one in sets):
        rule, fix = "holds something else", "remove it or choose another --output"
        problems.append(Problem("--output", str(options.output), rule, fix))
    else:
        problems += unwritable("--output", options.output)
    return problems + (unwritable("--rejects", options.rejects) if options.rejects else [])


def unwritable(option: str, path: Path) -> list[Problem]:
    """A problem for a path that cannot be made where it is to be.

    Args:
        option: what named it.
        path: something that may not exist yet, nor the folders above it.
    """
    above = next(one for one in path.absolute().parents if os.path.lexists(one))
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".dslm-", dir=above))
    except OSError as error:
        rule = f"nothing can be made in {above}: {error.strerror}"
        return [Problem(option, str(path), rule, "choose another place")]
    return []


def workers_note(workers: int, cores: int) -> str:
    """What to say of more workers than there are processors; nothing of fewer."""
    if workers <= cores:
        return ""
    return f"{workers:,} workers for {cores} processors: more than {cores} make nothing faster"
