"""What a model gives away: sequences of its training that it continues word for word.

As Carlini et al. ("Quantifying Memorization Across Neural Language Models", 2022) define it: given
the first tokens of a sequence, greedy decoding returns the rest. It does if and only if at every
place of the rest the likeliest token is that of the text, so that one reading decides it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from dslm.arrays import Flags, Tokens
from dslm.inference.mistakes import lost
from dslm.inference.trained import Trained
from dslm.inspection.likelihood import TOKENS, scores_of
from dslm.inspection.sequences import Occurrences
from dslm.inspection.share import Share
from dslm.progress import Advance
from dslm.shards.provenance import Provenance, ProvenanceReader
from dslm.shards.shard_set import ShardSet

HEAD = ("occurrences", "sequences", "memorized", "share", "95 %")


@dataclass(frozen=True)
class Memorized:
    """A sequence that the model continues word for word."""

    text: str
    occurrences: int
    documents: list[Provenance]
    """Those that hold its first occurrences."""

    @property
    def hashes(self) -> set[str]:
        """Of the texts of these documents."""
        return {one.sha256 for one in self.documents}


@dataclass(frozen=True)
class Memory:
    """What a model gives away."""

    all: Share
    by_occurrences: dict[str, Share]
    """The share among sequences that occur so often."""
    sequences: list[Memorized]
    """The rarest first."""

    @property
    def table(self) -> list[tuple[str, ...]]:
        """The shares as cells, the head first."""
        rows = [(name, *one.cells()) for name, one in self.by_occurrences.items()]
        return [HEAD, *rows, ("all", *self.all.cells())]

    @property
    def documents(self) -> list[tuple[Provenance, int]]:
        """Those with the most memorized sequences, and how many; equal ones count as one."""
        first = dict[str, Provenance]()
        for found in self.sequences:
            for one in found.documents:
                first.setdefault(one.sha256, one)
        counts = Counter(sha for found in self.sequences for sha in found.hashes)
        return [(first[sha], count) for sha, count in counts.most_common()]


def memory(
    trained: Trained,
    shards: ShardSet,
    rows: Tokens,
    prompt: int,
    found: Occurrences,
    advance: Advance | None = None,
) -> Memory:
    """Which of some sequences of a shard set a model continues word for word.

    Args:
        trained: a model that continues texts.
        shards: what it was trained on.
        rows: [sequences, length], from `draw`.
        prompt: how many tokens of each the model is given.
        found: where they are, from `occurrences`.
        advance: called with the number of sequences that were read.

    Raises:
        CheckpointError: the model's numbers are not finite.
    """
    known = continued(trained, rows, prompt, advance)
    buckets = {name: mine for name, mine in _buckets(found) if mine.any()}
    return Memory(
        Share.count(int(known.sum()), len(rows)),
        {n: Share.count(int(known[mine].sum()), int(mine.sum())) for n, mine in buckets.items()},
        list(_named(trained, shards, rows, known, found)),
    )


@torch.no_grad()
def continued(trained: Trained, rows: Tokens, prompt: int, advance: Advance | None = None) -> Flags:
    """Whether a model continues the beginning of each sequence with its rest, [sequences].

    Args:
        trained: a model that continues texts.
        rows: [sequences, length].
        prompt: how many tokens of each are its beginning.
        advance: called with the number of sequences that were read.

    Raises:
        CheckpointError: the model's numbers are not finite.
    """
    parts = [np.empty(0, dtype=bool)]
    at_once, vocabulary = max(1, TOKENS // rows.shape[1]), trained.tokenizer.vocabulary
    for first in range(0, len(rows), at_once):
        part = torch.from_numpy(rows[first : first + at_once].astype(np.int64)).to(trained.device)
        scores = scores_of(trained.model(part[:, :-1]))[:, prompt - 1 :, :vocabulary]
        if not scores.isfinite().all():
            raise lost("its scores are not finite")
        parts.append((scores.argmax(-1) == part[:, prompt:]).all(1).cpu().numpy())
        if advance is not None:
            advance(len(part))
    return np.concatenate(parts)


def _buckets(found: Occurrences) -> Iterator[tuple[str, Flags]]:
    """Sequences by how often they occur: once, 2 to 9 times, 10 to 99 and so on."""
    yield "1", found.counts == 1
    low = 2
    while low <= found.counts.max():
        high = 10 ** len(str(low))
        yield f"{low:,} … {high - 1:,}", (found.counts >= low) & (found.counts < high)
        low = high


def _named(
    trained: Trained, shards: ShardSet, rows: Tokens, known: Flags, found: Occurrences
) -> Iterator[Memorized]:
    reader = ProvenanceReader(shards)
    for one in sorted(np.flatnonzero(known).tolist(), key=lambda n: int(found.counts[n])):
        numbers = np.unique(shards.documents_at(np.array(found.places[one])))
        text = trained.tokenizer.decode(rows[one].tolist())
        yield Memorized(text, int(found.counts[one]), [reader(n) for n in numbers.tolist()])
