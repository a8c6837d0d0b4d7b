"""Text that every machine already has: the standard library of the running Python.

Its sources, with the documentation in them, and the help topics of `pydoc`, one document a file.
The name of a document decides whether it is for training, validation or test, so that the split is
the same wherever the library is.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path

from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import Problem, SetupError
from dslm.files import record
from dslm.files.published import occupied, published, refuse
from dslm.progress import Advance

FILE = "corpus.json"

SKIPPED = {
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idle_test",
    "encodings",  # tables of characters, not text
    "pydoc_data",  # the topics, which go in as text
}

SHARES = {"train": 90, "validation": 5, "test": 5}
"""Hundredths of the documents in each split."""


@dataclass(config=STRICT, frozen=True)
class Corpus:
    """The content of `corpus.json`: what was gathered, by split."""

    python: str
    """Version of the interpreter whose library it is."""
    documents: dict[str, int]
    """Files in each split."""
    bytes: dict[str, int]
    """UTF-8 bytes in each split."""


def gather(output: Path, progress: Advance | None = None) -> tuple[Corpus, bool]:
    """Write the corpus as ``train-….txt``, ``validation-….txt`` and ``test-….txt``.

    Args:
        output: the folder to make.
        progress: called with the number of bytes of text written since the last call.

    Returns:
        What was gathered, and whether it was written now.

    Raises:
        DataError: `output` holds something else.
        SetupError: the interpreter comes without sources, or the folder cannot be written.
    """
    if occupied(output):
        return _existing(output), False
    counts, sizes = dict.fromkeys(SHARES, 0), dict.fromkeys(SHARES, 0)
    with published(output) as folder:
        for name, text in _documents():
            raw, part = text.encode(), split(name)
            (folder / f"{part}-{name}.txt").write_bytes(raw)
            counts[part] += 1
            sizes[part] += len(raw)
            if progress:
                progress(len(raw))
        if not all(counts.values()):
            rule = "holds no sources to make a corpus from"
            raise SetupError(Problem(str(_library()), None, rule, "bring text of your own"))
        corpus = Corpus(platform.python_version(), counts, sizes)
        record.save(corpus, folder / FILE)
    return corpus, True


def split(name: str) -> str:
    """The split that a document belongs to, by its name alone."""
    draw = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % 100
    if draw < SHARES["train"]:
        return "train"
    return "validation" if draw < SHARES["train"] + SHARES["validation"] else "test"


def size() -> int:
    """About how many bytes of text `gather` will write."""
    return sum(path.stat().st_size for path in _sources())


def _existing(output: Path) -> Corpus:
    """The existing corpus, if it is this interpreter's."""
    if not (output / FILE).is_file():
        raise refuse(output, "holds something else")
    corpus = record.load(Corpus, output / FILE, "corpus", "builtin_corpus")
    if corpus.python != platform.python_version():
        raise refuse(output, f"holds the corpus of Python {corpus.python}")
    return corpus


def _documents() -> Iterator[tuple[str, str]]:
    """Name and text of every document, in the order of their paths."""
    for path in _sources():
        name = ".".join(path.relative_to(_library()).with_suffix("").parts)
        try:
            with tokenize.open(path) as file:  # obeys the encoding that a source declares
                text = file.read()
        except (SyntaxError, UnicodeDecodeError):
            continue
        if text:
            yield name, text
    for topic, text in sorted(_topics().items()):
        yield f"topic.{topic}", text


def _sources() -> list[Path]:
    found = []
    for folder, below, names in os.walk(_library()):
        below[:] = [name for name in below if name not in SKIPPED]
        found += [Path(folder, name) for name in names if name.endswith(".py")]
    return sorted(found)


def _topics() -> dict[str, str]:
    """The language reference as `help()` shows it; some systems leave it out."""
    try:
        return dict(importlib.import_module("pydoc_data.topics").topics)
    except ImportError:
        return {}


def _library() -> Path:
    return Path(sysconfig.get_path("stdlib"))
