"""A look at the first records: is there a document at all, before anything is made of them?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dslm.errors import DataError, Problem
from dslm.preprocess.read.documents import documents
from dslm.preprocess.read.inputs import common_folder, name_of
from dslm.preprocess.read.pieces import pieces
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.work.rejects import Rejects, nothing_kept
from dslm.shards.statistics import Statistics

ENOUGH = 1 << 25
"""Bytes of text without a document after which the look ends, and the work shows what they are."""


class _EnoughError(Exception):
    """The look has taken long enough."""


def preview(paths: Sequence[Path], reading: ReadingConfig, max_bad: int) -> list[Problem]:
    """What would surely end the work: more broken records than may be, or no document in any input.

    Reads until the first document, most often the first record.

    Args:
        paths: inputs from `expand`.
        reading: how they are read.
        max_bad: broken records to let pass.
    """
    statistics, folder, looked = Statistics(), common_folder(paths), 0

    def advance(amount: int) -> None:
        nonlocal looked
        looked += amount
        if looked > ENOUGH:
            raise _EnoughError

    try:
        with Rejects(statistics, tuple(name_of(p, folder) for p in paths), max_bad, None) as reject:
            for piece in pieces(paths, reading, sys.maxsize):
                for _ in documents(piece, reading, reject, advance):
                    return []
    except _EnoughError:
        return []
    except DataError as error:
        return [*error.problems]
    return nothing_kept(statistics)
