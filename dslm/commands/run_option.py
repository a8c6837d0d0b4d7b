"""The options that name a run, one of its checkpoints, or the settings of one."""

from __future__ import annotations

from dslm.commands.cli import Parser, typed_path, typed_step

SETTINGS = "settings as JSON, or a run.json (default: none)"
"""What ``--config`` takes."""


def add_run(parser: Parser) -> None:
    """Add ``RUN``, the folder of a run."""
    parser.add_argument("run", metavar="RUN", type=typed_path, help="the folder of the run")


def add_step(
    parser: Parser, which: str = "which checkpoint, or best (default: the newest)"
) -> None:
    """Add ``--step``, which of the run's checkpoints is used."""
    parser.add_argument("--step", metavar="N", type=typed_step, help=which)
