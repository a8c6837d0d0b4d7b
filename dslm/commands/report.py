"""Write the report of a run, or one of several: ``report RUN …`` prints the path of the page."""

from __future__ import annotations

import time
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

from dslm.commands.cli import Parser, typed_path
from dslm.report import write_comparison, write_report
from dslm.report.record import NoStepError
from dslm.run.folder import RunFolder
from dslm.run.standing import read_standing

COMPARISON = Path("comparison.html")
"""The page about several runs unless another is named."""
SECONDS = 5
"""From one writing of a watched page to the next."""
DESCRIPTION = f"""\
Write a page about a run that reads offline: report.html in the folder of the run. Several runs are
compared in one page: their curves over each other, their results, and what differs in their
settings; it is {COMPARISON} in the current folder.
"""


def main(argv: list[str]) -> None:
    """Write the page, once or for as long as a run goes on."""
    parser = Parser("report", DESCRIPTION, "dslm report runs/a runs/b")
    which = "the folder of a run"
    parser.add_argument("run", metavar="RUN", nargs="+", type=typed_path, help=which)
    where = f"write the page there (default: report.html in the run; of several {COMPARISON})"
    parser.add_argument("--output", metavar="PAGE", type=typed_path, help=where)
    again = f"write it anew every {SECONDS} seconds as long as a run goes on; it reads itself anew"
    parser.add_argument("--watch", action="store_true", help=again)
    options = parser.parse_args(argv)
    if not options.watch:
        print(_write(options, watch=0))
        return
    try:
        _watch(options)
    except KeyboardInterrupt:  # the usual way to end it
        with suppress(NoStepError):
            _write(options, watch=0)


def _watch(options: Namespace) -> None:
    """Write the page until no run is running; it is announced once, when there is one."""
    announced = False
    while any(_is_running(run) for run in options.run):
        try:
            page = _write(options, SECONDS)
            if not announced:
                print(page, flush=True)
            announced = True
        except NoStepError:
            pass  # until its first step there is nothing to draw
        time.sleep(SECONDS)
    page = _write(options, watch=0)
    if not announced:
        print(page)


def _is_running(run: Path) -> bool:
    folder = RunFolder(run)
    return read_standing(folder, folder.read()).word == "running"


def _write(options: Namespace, watch: int) -> Path:
    if len(options.run) == 1:
        return write_report(options.run[0], options.output, watch)
    return write_comparison(options.run, options.output or COMPARISON, watch)
