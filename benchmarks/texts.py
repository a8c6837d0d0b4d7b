"""The text that benchmarks work on: some of the corpus that every machine already has."""

from __future__ import annotations

from pathlib import Path

from dslm.preprocess.builtin_corpus import gather


def corpus_files(folder: Path, most: int) -> list[Path]:
    """Write the built-in corpus below `folder`; files of its training part of `most` bytes."""
    gather(folder / "corpus")
    files = []
    for path in sorted((folder / "corpus").glob("train-*.txt")):
        most -= path.stat().st_size
        if most < 0:
            break
        files.append(path)
    return files
