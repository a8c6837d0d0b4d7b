"""The options that name a run, and one of its checkpoints."""

from __future__ import annotations

from dslm.commands.cli import Parser, typed_path


def add_run(parser: Parser) -> None:
    """Add ``RUN``, the folder of a run."""
    parser.add_argument("run", metavar="RUN", type=typed_path, help="the folder of the run")


def add_step(parser: Parser, which: str = "which checkpoint (default: the newest)") -> None:
    """Add ``--step``, which of the run's checkpoints is used."""
    parser.add_argument("--step", metavar="N", type=int, help=which)
