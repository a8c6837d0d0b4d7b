"""Word vectors of a file as the first token embedding of a run.

    check_word_vectors   before anything else: the beginning of the file, its width
    read_word_vectors    the first rank, before torch: all of the file, matched to the tokenizer
    begin_with           every rank: the rows that were found, in a model initialized by the seed

The vectors are moved and scaled as one cloud: their mean becomes zero and their deviation that of
initialized embeddings (`embedding_deviation`), while the directions from one to another stay. So
the first scores differ as little as without word vectors and the first loss is near ln V, where
GloVe's vectors, with a deviation of 0.4, would begin far above. The mean is common to all words and
distinguishes none of them; without it they do better (Mu & Viswanath 2018, section 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array
from dslm.environment import World
from dslm.errors import DataError, Problem, suggest
from dslm.files.fingerprint import file_sha256
from dslm.model.config import ModelConfig
from dslm.parallel.world import broadcast, broadcast_tensor
from dslm.progress import Progress
from dslm.sampling.stream import Stream
from dslm.tokenizers.load import load_tokenizer
from dslm.train.word_vectors.file import open_vectors
from dslm.train.word_vectors.match import Matched, match

if TYPE_CHECKING:
    from torch import Tensor

    from dslm.model.initial import Numbers
    from dslm.model.stages import Stage

KEY = "word_vectors"
"""The setting, and what ``run.json`` calls its outcome."""

COUNTED = 1 << 20
"""Tokens of training that are counted, about; their share is then right to a tenth of a percent."""

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True)
class WordVectors:
    """The vectors that a run begins with, and how much of its text they cover."""

    file: str
    sha256: str
    """Of the file as it is stored."""
    matched: Matched
    rows: Rows
    """The vectors of `matched.ids` with mean 0 and deviation 1, [ids, width]."""
    vocabulary: int
    """Ids of the tokenizer."""
    tokens: float
    """Share of the ids that were matched in the tokens of training."""

    @property
    def share(self) -> float:
        """Share of the tokenizer's ids that were matched."""
        return self.matched.ids.size / self.vocabulary

    def record(self) -> dict[str, Any]:
        """What ``run.json`` records of them."""
        return {
            "file": self.file,
            "sha256": self.sha256,
            "words": self.matched.words,
            "repeated": self.matched.repeated,
            "ids": self.matched.ids.size,
            "share_of_ids": self.share,
            "share_of_tokens": self.tokens,
        }


def check_word_vectors(file: str, model: ModelConfig) -> list[Problem]:
    """Whether a file looks like word vectors for a model; only its beginning is read."""
    try:
        width = open_vectors(Path(file)).width
    except DataError as error:
        return [*error.problems] if Path(file).is_file() else [_absent(file)]
    if width == model.width:
        return []
    rule = f"its vectors are {width} wide, and model.width = {model.width}"
    fix = f"use model.width={width}, or vectors {model.width} wide"
    return [Problem(KEY, file, rule, fix)]


def _absent(file: str) -> Problem:
    """A file that does not exist, and the one beside it that was most likely meant."""
    path = Path(file)
    if path.exists():
        return Problem(KEY, file, "is no file", f"write {KEY}={path / 'FILE'}")
    others = [str(other) for other in path.parent.glob("*")]
    fix = suggest(file, others, f"give the file, or leave {KEY} out")
    return Problem(KEY, file, "no such file", fix)


def read_word_vectors(file: str, tokenizer: Path, stream: Stream) -> WordVectors:
    """Read the vectors of a tokenizer's ids, and count how often these occur.

    Args:
        file: the word vectors.
        tokenizer: the folder of the tokenizer.
        stream: the rows of training, the first of which are counted.

    Raises:
        DataError: as `match`; or all vectors are the same, so that they cannot be scaled.
    """
    opened, known = open_vectors(Path(file)), load_tokenizer(tokenizer)
    with Progress(opened.text_bytes, "B", "reading word vectors") as progress:
        matched = match(opened, known, progress.advance)
        progress.begin(opened.path.stat().st_size, "B", "hashing word vectors")
        sha256 = file_sha256(opened.path, progress.advance)
    rows = standardized(matched.rows)
    if rows is None:
        rule = f"the vectors of the {matched.ids.size} ids that match are all the same"
        raise DataError(Problem(file, None, rule, "use vectors of the language of the text"))
    counts = count_tokens(stream, known.vocabulary)
    share = float(counts[matched.ids].sum() / max(1, counts.sum()))
    return WordVectors(file, sha256, matched, rows, known.vocabulary, share)


def standardized(rows: Rows) -> Rows | None:
    """Rows [ids, width] with their mean vector taken off, divided by the deviation of what is left.

    `None` when nothing is left.
    """
    centred = rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = np.sqrt(np.square(centred, dtype=np.float64).mean())
    spread = np.ptp(rows, axis=0).any()
    return centred / np.float32(deviation) if spread and deviation > 0 else None


def count_tokens(stream: Stream, vocabulary: int) -> Int64Array:
    """How often each id occurs in the first `COUNTED` tokens of training, padding left out."""
    samples = stream.samples(0, min(stream.samples_per_epoch, -(-COUNTED // stream.width)))
    return np.bincount(samples.tokens[samples.text], minlength=vocabulary)


def broadcast_vectors(
    world: World, vectors: WordVectors | None, width: int
) -> tuple[Tensor, Tensor]:
    """The ids and the rows of the first rank, on every rank; see `begin_with`."""
    import torch

    count = broadcast(world, vectors.matched.ids.size if vectors else 0)
    ids, rows = torch.zeros(count, dtype=torch.int64), torch.zeros(count, width)
    if vectors:
        ids, rows = torch.from_numpy(vectors.matched.ids), torch.from_numpy(vectors.rows)
    return broadcast_tensor(world, ids), broadcast_tensor(world, rows)


def begin_with(layers: Sequence[Stage], ids: Tensor, rows: Tensor) -> Numbers:
    """The weights of an initialized model whose token embedding holds word vectors.

    Args:
        layers: the model.
        ids: the rows of the embedding to fill, [ids].
        rows: what with, mean 0 and deviation 1, [ids, D].
    """
    from dslm.model.embedding import TokenEmbedding, embedding_deviation
    from dslm.model.stages import drawn

    plain, width = drawn(layers), rows.shape[1]
    scaled = rows * embedding_deviation(layers[0].config)
    tables = {
        f"{layer.index}.embedding.weight"
        for layer in layers
        if issubclass(layer.module, TokenEmbedding)
    }

    def read(name: str, start: int, stop: int) -> Tensor:
        found = plain(name, start, stop)
        if name in tables and start < stop:
            first, last = start // width, -(-stop // width)
            mine = (ids >= first) & (ids < last)
            table = found.new_empty(last - first, width)
            part = table.view(-1)[start - first * width : stop - first * width]
            part.copy_(found)
            table[ids[mine] - first] = scaled[mine]
            return part
        return found

    return read
