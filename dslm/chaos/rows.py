"""The rows of the table, in its order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dslm.chaos import damage, scenarios
from dslm.chaos.bench import FIRST, SECOND, Bench
from dslm.chaos.fault import MOMENTS, WEIGHTS
from dslm.chaos.scenarios import Survived, damaged, killed_while_writing, other_layout


@dataclass(frozen=True)
class Row:
    """A fault of the table."""

    key: str
    name: str
    run: Callable[[Bench, str], Survived]
    """Lets it happen, in a folder of a name."""


ROWS = (
    Row(
        "1a",
        "kill -9 of rank 1 while it writes a checkpoint",
        partial(killed_while_writing, rank=1, file=MOMENTS),
    ),
    Row(
        "1b",
        "kill -9 of rank 0 while it writes a checkpoint",
        partial(killed_while_writing, rank=0, file=WEIGHTS),
    ),
    Row("2", "kill -9 of a rank within a step", scenarios.killed),
    Row("3", "SIGTERM to the launcher alone", scenarios.launcher_terminated),
    Row(
        "4",
        "newest checkpoint cut in half",
        partial(damaged, damage=damage.cut_in_half, resumes=FIRST),
    ),
    Row(
        "5a",
        "one bit of the moments flipped",
        partial(damaged, damage=damage.flip_a_moment, resumes=FIRST),
    ),
    Row(
        "5b",
        "one bit of the weights flipped",
        partial(damaged, damage=damage.flip_a_weight, resumes=FIRST),
    ),
    Row(
        "6",
        "record of the run deleted",
        partial(damaged, damage=damage.delete_the_record, resumes=SECOND),
    ),
    Row("7a", "two ranks, then one", partial(other_layout, ranks=1)),
    Row("7b", "one rank, then two", scenarios.more_ranks),
    Row("8", "another ZeRO stage", partial(other_layout, change=scenarios.other_stage)),
    Row(
        "9a",
        "the same batch, split otherwise",
        partial(other_layout, change=scenarios.larger_micro_batch),
    ),
    Row("9b", "twice the batch", scenarios.larger_batch),
    Row("10", "cut off and resumed", partial(damaged, damage=damage.none, resumes=SECOND)),
    Row("11", "disk full while a checkpoint is written", scenarios.disk_full),
    Row("12", "a rank stands still", scenarios.stopped),
    Row("13", "loss of one rank not a number, once", scenarios.not_a_number),
    Row("14", "a second run in the same folder", scenarios.two_runs),
)
