"""Makes a tokenizer folder from text.

The path of a line: `read` yields documents, which are cut into lines and long lines into shorter
ones; of these an evenly spread sample goes to SentencePiece, whose model and card are published as
one folder. A character tokenizer reads all of the text instead, since it may miss no character.
The same text and settings give the same tokenizer.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dslm.errors import DataError, Problem
from dslm.files.fingerprint import Input
from dslm.files.published import occupied, published, refuse
from dslm.preprocess.read.documents import documents
from dslm.preprocess.read.inputs import common_folder, describe, name_of
from dslm.preprocess.read.kinds import text_bytes
from dslm.preprocess.read.pieces import pieces
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.sentencepiece_trainer import RefusedError, TrainingProgress, train_pieces
from dslm.preprocess.text.invisible import count_invisible
from dslm.preprocess.work.rejects import MAX_BAD, Rejects, nothing_kept
from dslm.progress import Advance
from dslm.shards.statistics import Statistics
from dslm.tokenizers.chunking import lines
from dslm.tokenizers.load import KINDS, load_tokenizer
from dslm.tokenizers.scores import rounded
from dslm.tokenizers.tokenizer import MODEL, Tokenizer, TokenizerCard, TokenizerKind, card_path

SAMPLE_BYTES = 100_000_000
"""More text hardly changes the pieces, but SentencePiece holds some twenty times as much memory."""

LINE = 1024
"""Characters in a training line, so at most 4096 bytes: SentencePiece drops lines above 4192."""

SPECIAL = {"unk": 0, "eos": 1, "pad": 2, "cls": 3, "sep": 4, "mask": 5}

TRAINER: dict[str, Any] = {
    "unk_id": SPECIAL["unk"],
    "eos_id": SPECIAL["eos"],
    "eos_piece": "<eos>",
    "pad_id": SPECIAL["pad"],
    "pad_piece": "<pad>",
    "bos_id": -1,
    "control_symbols": ["<cls>", "<sep>", "<mask>"],
    "user_defined_symbols": ["\n", "\t"],
    "byte_fallback": True,
    "normalization_rule_name": "identity",  # the default loses text: NFKC, runs of spaces
    "remove_extra_whitespaces": False,
    "add_dummy_prefix": False,
    "allow_whitespace_only_pieces": True,
    "num_threads": 4,  # fixed, because sums in another order give another model
    "minloglevel": 0,  # the log is where its progress is read
}


@dataclass(frozen=True)
class TokenizerConfig:
    """What a user chose about a tokenizer."""

    kind: TokenizerKind
    """How text is cut."""
    vocabulary: int | None
    """Number of ids; `None` for kind = char, which takes what the text holds."""
    sample_bytes: int = SAMPLE_BYTES
    """Bytes of text to train on, at most; kind = char reads everything."""
    reading: ReadingConfig = field(default_factory=ReadingConfig)
    """How to read the files."""

    def check(self) -> list[Problem]:
        """A problem when the vocabulary is chosen where it is found, or the other way round."""
        if self.kind == "char" and self.vocabulary is not None:
            rule = "a character tokenizer takes its size from the text"
            return [Problem("--vocab-size", self.vocabulary, rule, "leave it out")]
        if self.kind != "char" and self.vocabulary is None:
            return [Problem("--vocab-size", None, f"is required for {self.kind}", "try 8000")]
        return []


def train_tokenizer(
    paths: Sequence[Path],
    output: Path,
    training: TokenizerConfig,
    progress: Advance | None = None,
    training_progress: TrainingProgress | None = None,
    max_bad: int = MAX_BAD,
    statistics: Statistics | None = None,
) -> tuple[Tokenizer, bool]:
    """Make a tokenizer folder, unless it exists already.

    Args:
        paths: inputs from `dslm.preprocess.read.inputs.expand`.
        output: the folder to make.
        training: what to make.
        progress: called with the number of bytes of text read since the last call.
        training_progress: called with the progress of the training itself.
        max_bad: broken records to let pass.
        statistics: where records are counted that were left out, broken or changed.

    Returns:
        The tokenizer, and whether it was made now.

    Raises:
        DataError: the text cannot be read, too much of it is broken, it is empty or too small for
            the vocabulary, or `output` holds something else.
        SetupError: the folder cannot be written.
    """
    if problems := training.check():
        raise DataError(*problems)
    if occupied(output):
        return _existing(paths, output, training), False
    statistics = statistics or Statistics()
    texts = _texts(paths, training.reading, progress, max_bad, statistics)
    if training.kind == "char":
        card, model = _characters(texts, statistics)
    else:
        lines = _sample(paths, texts, training)
        card, model = _pieces(lines, training, training_progress, statistics)
    card = replace(
        card,
        reading=training.reading.settings,
        inputs=_described(paths),
        documents=statistics.documents,
        invisible=statistics.invisible,
    )
    files = {} if training.kind == "char" else {MODEL: model}
    with published(output) as folder:
        KINDS[card.kind](card, files).save(folder)
    return load_tokenizer(output), True


def _existing(paths: Sequence[Path], output: Path, training: TokenizerConfig) -> Tokenizer:
    """The existing tokenizer, if it is the one asked for."""
    if card_path(output) is None:
        raise refuse(output, "holds something else")
    tokenizer = load_tokenizer(output)
    card = tokenizer.card
    wanted = (training.kind, training.reading.settings, _described(paths))
    same = (card.kind, card.reading, card.inputs) == wanted
    if training.kind != "char":
        wanted_size = (training.vocabulary, training.sample_bytes)
        same = same and (card.vocabulary, card.sample_bytes) == wanted_size
    if not same:
        raise refuse(output, "holds a tokenizer made from other text or with other settings")
    return tokenizer


def _characters(texts: Iterable[str], statistics: Statistics) -> tuple[TokenizerCard, bytes]:
    """A tokenizer of exactly the characters of some texts, in the order of their code points."""
    characters = "".join(sorted(set[str]().union(*texts)))
    if not characters:
        raise DataError(*nothing_kept(statistics))
    model = characters.encode()
    digest = hashlib.sha256(model).hexdigest()
    size = len(characters)
    card = TokenizerCard(
        kind="char", vocabulary=size, special={}, sha256=digest, characters=characters
    )
    return card, model


def _pieces(
    lines: list[str],
    training: TokenizerConfig,
    progress: TrainingProgress | None,
    statistics: Statistics,
) -> tuple[TokenizerCard, bytes]:
    """A SentencePiece model of some lines."""
    if not lines:
        raise DataError(*nothing_kept(statistics))
    settings = {"model_type": training.kind, "vocab_size": training.vocabulary, **TRAINER}
    try:
        model = rounded(train_pieces(lines, settings, progress))
    except RefusedError as error:
        raise DataError(_translated(str(error), training)) from None
    card = TokenizerCard(
        kind=training.kind,
        vocabulary=training.vocabulary or 0,
        special=SPECIAL,
        sha256=hashlib.sha256(model).hexdigest(),
        sample_bytes=training.sample_bytes,
    )
    return card, model


def _translated(message: str, training: TokenizerConfig) -> Problem:
    """SentencePiece's own error in one sentence; it names the nearest size that would do."""
    if most := re.search(r"Please set it to a value <= (\d+)", message):
        rule = "is more than the text has pieces for"
        fix = f"use at most {most[1]}, or give more text"
    elif least := re.search(r"required_chars\. \d+ vs (\d+)", message):
        rule = "is too few for the bytes and characters of the text"
        fix = f"use {least[1]} or more"
    else:
        rule, fix = f"SentencePiece cannot train on this text ({message})", ""
    return Problem("--vocab-size", training.vocabulary, rule, fix)


def _sample(paths: Sequence[Path], texts: Iterable[str], training: TokenizerConfig) -> list[str]:
    """Evenly spread lines, together about as long as the sample may be and never longer."""
    share = min(1.0, training.sample_bytes / max(1, sum(map(text_bytes, paths))))
    due, left, lines = 0.0, training.sample_bytes, []
    for text in texts:
        for line in _lines(text):
            size = len(line.encode())
            due += share * size
            if size <= due and size <= left:
                due, left = due - size, left - size
                lines.append(line)
    return lines


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if line:
            yield from (line[start:end] for start, end in lines(line, LINE))


def _texts(
    paths: Sequence[Path],
    reading: ReadingConfig,
    progress: Advance | None,
    max_bad: int,
    statistics: Statistics,
) -> Iterator[str]:
    """The texts of all inputs.

    Raises:
        DataError: more records are broken than may be.
    """
    folder, changed, invisible = common_folder(paths), Counter[str](), Counter[str]()
    names = tuple(name_of(path, folder) for path in paths)
    with Rejects(statistics, names, max_bad, None) as reject:
        for piece in pieces(paths, reading, sys.maxsize):
            for document in documents(piece, reading, reject, progress, changed):
                statistics.documents += 1
                invisible.update(count_invisible([document.text]))
                yield document.text
    statistics.changed = dict(sorted(changed.items()))
    statistics.invisible = dict(sorted(invisible.items()))


def _described(paths: Sequence[Path]) -> tuple[Input, ...]:
    folder = common_folder(paths)
    return tuple(describe(path, folder) for path in paths)
