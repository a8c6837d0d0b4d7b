"""What an encoder–decoder writes of a source, as the row in which it is looked at."""

from __future__ import annotations

from dataclasses import replace

from dslm.inference.generate import Request
from dslm.inference.restore import targets
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import Trained
from dslm.inspection.row import Row
from dslm.objectives.completion import Restore

NEW_TOKENS = 64
"""Of a target at most."""


def with_target(trained: Trained, row: Row) -> Row:
    """A row of a source, and the target that the model writes of it, likeliest token by token.

    Args:
        trained: the model.
        row: of it.
    """
    how = trained.objective.completion()
    if not isinstance(how, Restore):
        return row
    request = Request(NEW_TOKENS, SamplingConfig(temperature=0))
    (found,) = targets(trained, how, [row.source], request)
    ids = (how.frame.begin, *found.written.tokens)
    return replace(row, ids=ids, scored=tuple(range(1, len(ids))))
