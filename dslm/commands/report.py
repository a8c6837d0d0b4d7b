"""Write the report of a run: `report RUN` prints the path of the page."""

from __future__ import annotations

from pathlib import Path

from dslm.commands.cli import Parser
from dslm.report import write_report


def main(argv: list[str]) -> None:
    """Write `report.html` into a run folder."""
    parser = Parser("report", "Write a page about a run that reads offline, into its run folder.")
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of the run")
    print(write_report(parser.parse_args(argv).run))
