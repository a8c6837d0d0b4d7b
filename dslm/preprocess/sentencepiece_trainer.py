"""SentencePiece's trainer, with its progress.

The library trains in one call that reports nothing to Python, but it writes a log. So it runs in a
process of its own, whose standard error goes to a file; the parent reads there how far it is:
unigram prunes its pieces in rounds (Kudo 2018), bpe counts its merges (Sennrich et al. 2016).
"""

from __future__ import annotations

import math
import multiprocessing
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dslm.errors import Problem, SetupError
from dslm.workers import begin_worker

TrainingProgress = Callable[[str, float, float], None]
"""Called with what is counted, how many of it are done, and how many there will be."""

LOOK_EVERY = 0.2
"""Seconds between two looks at the log."""

KEPT_A_ROUND = 0.75
"""The share of pieces that survives a round of unigram, SentencePiece's own setting."""

SPARE = 1.1
"""Unigram's rounds end with this many times the pieces wanted."""

MOST_PIECES = 1_000_000
"""Unigram's rounds begin with so many pieces at most; finding them counts as a round too."""


class RefusedError(Exception):
    """SentencePiece cannot train on this text; the message is its own."""


def train_pieces(
    lines: Sequence[str], settings: dict[str, Any], progress: TrainingProgress | None
) -> bytes:
    """The bytes of a SentencePiece model.

    Args:
        lines: the text, without line ends.
        settings: what `SentencePieceTrainer.train` takes.
        progress: called several times a second.

    Raises:
        RefusedError: the text does not suit the settings.
        SetupError: the trainer was killed from outside, or could not begin.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "lines").write_text("\n".join(lines), encoding="utf-8", newline="\n")
        process = multiprocessing.get_context("spawn").Process(
            target=_train, args=(folder, settings), daemon=True
        )
        process.start()
        try:
            log = _Log(folder / "log", settings["model_type"], settings["vocab_size"])
            while process.is_alive():
                process.join(LOOK_EVERY)
                log.look(progress)
        finally:
            process.kill()
            process.join()
        if (folder / "refusal").exists():
            raise RefusedError((folder / "refusal").read_text(encoding="utf-8"))
        if not (folder / "model").exists():
            raise SetupError(_ended(process.exitcode or 0))
        return (folder / "model").read_bytes()


def _ended(code: int) -> Problem:
    """Why the trainer's process ended without a model, by its exit code."""
    if code > 0:
        rule = f"the trainer's own process ended with exit code {code} before it began"
        fix = "in a script of your own, call this below `if __name__ == '__main__':`"
        return Problem("SentencePiece", None, rule, fix)
    rule = "the trainer was killed, most often because memory ran out"
    return Problem("--sample-bytes", None, rule, "use a smaller sample")


def _train(folder: Path, settings: dict[str, Any]) -> None:
    """The trainer's own process."""
    begin_worker()
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 2)
    import sentencepiece

    partial = folder / "model.partial"
    with partial.open("wb") as model:
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=_lines(folder / "lines"), model_writer=model, **settings
            )
        except RuntimeError as error:
            (folder / "refusal").write_text(str(error), encoding="utf-8")
            return
    partial.rename(folder / "model")


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n")


class _Log:
    """What the trainer has logged so far."""

    def __init__(self, path: Path, kind: str, vocabulary: int) -> None:
        self.path, self.kind, self.vocabulary = path, kind, vocabulary
        self.read = self.rounds = self.merges = self.given = 0
        self.pieces = MOST_PIECES if kind == "unigram" else 0

    def look(self, progress: TrainingProgress | None) -> None:
        """Read what is new and report how far the training is."""
        if progress is None or not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.read)
            new = file.read()
        self.read += len(new)
        text = new.decode(errors="replace")
        if self.kind == "bpe":
            for merges in re.findall(r"(?:merges=|Completed )(\d+)", text):
                self.merges = int(merges)
            for size in re.findall(r"Alphabet size=(\d+)", text):
                self.pieces = int(size)
            self.given += text.count("Adding meta_piece")
            progress("merges", self.merges, self.vocabulary - self.given - self.pieces)
            return
        self.rounds += len(re.findall(r"EM sub_iter=1|Initialized \d+ seed pieces", text))
        if sizes := re.findall(r"EM sub_iter=1 size=(\d+)|Initialized (\d+) seed", text):
            self.pieces = int("".join(sizes[-1]))
        left = math.log(SPARE * self.vocabulary / self.pieces) / math.log(KEPT_A_ROUND)
        progress("rounds", self.rounds, self.rounds + max(0, math.ceil(left)))
