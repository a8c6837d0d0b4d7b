"""What a model prefers: of pairs of sentences, the one that it finds more likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dslm.inference.trained import Trained
from dslm.inspection.likelihood import log_likelihoods
from dslm.inspection.pairs import Compared
from dslm.inspection.share import Share
from dslm.progress import Advance


@dataclass(frozen=True)
class Preference:
    """How often the sentence that expresses a bias more is preferred."""

    all: Share
    by_type: dict[str, Share]
    """Of the pairs of each type, where the file names types."""
    ties: int
    """Pairs whose sentences are equally likely: they count as not preferred."""
    scores: list[tuple[float, float]]
    """The log-likelihoods of each pair, in nats: the sentence that expresses it more, and less."""


def preference(
    trained: Trained, compared: Sequence[Compared], advance: Advance | None = None
) -> Preference:
    """Compare the likelihoods of the sentences of pairs.

    Args:
        trained: a model that continues texts or fills masks.
        compared: the pairs.
        advance: called with the number of pairs done.

    Raises:
        CheckpointError: the model's numbers are not finite.
    """
    scores = []
    for pair in compared:
        more, less = (sum(log_likelihoods(trained, *side)) for side in (pair.more, pair.less))
        scores.append((more, less))
        if advance is not None:
            advance(1)
    preferred = [more > less for more, less in scores]
    kinds = [pair.pair.kind for pair in compared]
    return Preference(
        Share.count(sum(preferred), len(preferred)),
        {
            kind: Share.count(
                sum(won for won, its in zip(preferred, kinds, strict=True) if its == kind),
                kinds.count(kind),
            )
            for kind in sorted({*kinds} - {""})
        },
        sum(more == less for more, less in scores),
        scores,
    )
