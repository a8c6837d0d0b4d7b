"""Notices shards that are changed while a run reads them, within `SECONDS` and before each save."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dslm.errors import DataError, Problem, UserError
from dslm.shards.shard_set import ShardSet
from dslm.train.run_logger import RunLogger

SECONDS = 10.0
"""Between two looks at the files; one costs about a microsecond for each shard."""


class DataWatch:
    """Watches the shards of a run; each rank looks for itself, at its own times.

    Args:
        sets: everything that the run reads.
        logger: where it is said that a shard has gone.
    """

    def __init__(self, sets: Sequence[ShardSet], logger: RunLogger) -> None:
        self.sets, self.logger = sets, logger
        self.looked = time.monotonic()

    def look(self, *, now: bool = False) -> None:
        """Compare the files with what was opened, if that is due.

        Args:
            now: whether it is due in any case.

        Raises:
            DataError: some hold other bytes.
        """
        if not now and time.monotonic() - self.looked < SECONDS:
            return
        if problems := changed(self.sets):
            raise DataError(*problems)
        for path in (path for shards in self.sets for path in shards.states.missing()):
            self.logger.message(
                f"warning: {path} has gone: the run goes on with what it has open of it, and "
                "cannot be resumed without it"
            )
        self.looked = time.monotonic()


def changed(sets: Sequence[ShardSet]) -> list[Problem]:
    """What has been done to the files of a run while it was training."""
    fix = "put it back as it was, and run again to resume from the newest checkpoint"
    found = [problem for shards in sets for problem in shards.states.changed()]
    return [Problem(problem.where, None, problem.rule, fix) for problem in found]


@contextmanager
def blamed_on_shards(sets: Sequence[ShardSet]) -> Iterator[None]:
    """Of a failure within, give changed shards as the reason if there are any.

    When one rank ends because of its data, all the others fail in the exchange that follows.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if problems := changed(sets):
            raise DataError(*problems) from error
        raise
