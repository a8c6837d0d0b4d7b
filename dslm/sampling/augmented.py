"""The rows of training with the changes of `augment`.

The path of a sample number: the stream's window with its margin, the sentence starts in it from the
shards, the changes. What has to be known of the vocabulary is found out at the start: the text
of each id from the tokenizer, and how often it occurs from the first rows of the order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dslm.arrays import Tokens
from dslm.sampling.augment import AugmentationConfig, Tables, augment
from dslm.sampling.order import Phase
from dslm.sampling.stream import Stream
from dslm.sampling.windows import Windows
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.tokenizers.vocabulary import piece_texts

COUNTED = 1 << 22
"""Tokens that are counted to know how often each id occurs."""


class AugmentedStream(Stream):
    """A stream whose rows are changed at random.

    Args:
        sources: windows with the margin that the changes need.
        weights: as for `Stream`.
        seed: of the order and of the changes.
        settings: what is changed.
        tokenizer: the one of the sources.
        phases: as for `Stream`, like `shifted`.
    """

    def __init__(
        self,
        sources: Sequence[Windows],
        weights: Sequence[float] | None,
        seed: int,
        settings: AugmentationConfig,
        tokenizer: Tokenizer,
        phases: Sequence[Phase] = (),
        shifted: bool = True,
    ) -> None:
        super().__init__(sources, weights, seed, phases, shifted)
        self._settings = settings
        self._length = self.width - sources[0].margin
        self._sentences = [source.sentences for source in sources]
        sample = super().rows(0, min(self.samples_per_epoch, -(-COUNTED // self.width)))
        counts = np.bincount(sample.ravel(), minlength=tokenizer.vocabulary)
        special = sorted(tokenizer.special.values())
        end = -1 if tokenizer.end_of_document is None else tokenizer.end_of_document
        pieces = piece_texts(tokenizer)
        self._tables = Tables.build(pieces, counts, special, end, tokenizer.begin)

    def rows(self, first: int, count: int) -> Tokens:
        """Samples `first` … `first + count - 1` of the order, changed.

        Returns:
            Shape [count, width without the margin], in the widest dtype of the sources.
        """
        rows = super().rows(first, count)
        sentences = np.zeros(rows.shape, dtype=bool)
        if self._settings.shuffle_sentences:
            sentences = self._gathered(first, count, bool, self._sentences)
        samples = np.arange(first, first + count)
        return augment(
            rows, sentences, samples, self._length, self._settings, self._seed, self._tables
        )
