"""All runs of a folder in one table: ``runs FOLDER``, and as a page with ``--html``."""

from __future__ import annotations

from dslm.commands.cli import Parser, typed_path
from dslm.commands.columns import columns
from dslm.errors import CheckpointError, Problem
from dslm.progress import Progress
from dslm.report.index import HEAD, NUMBERS, row, write_index
from dslm.report.summary import find_runs, read_summary


def main(argv: list[str]) -> None:
    """Print the table, or write the page and print its path.

    Raises:
        UserError: there is no such folder, or no run in it.
    """
    purpose = "All runs in a folder and below it, a line each."
    parser = Parser("runs", purpose, "dslm runs runs --html runs.html")
    parser.add_argument("folder", metavar="FOLDER", type=typed_path, help="where to look for runs")
    page = "write a page that links the reports of the runs (default: a table on the screen)"
    parser.add_argument("--html", metavar="PAGE", type=typed_path, help=page)
    options = parser.parse_args(argv)
    folders = list(find_runs(options.folder))
    if not folders:
        fix = "name a folder with runs below it"
        raise CheckpointError(Problem(str(options.folder), None, "holds no run", fix))
    with Progress(len(folders), "runs", "reading") as progress:
        found = []
        for folder in folders:
            found.append(read_summary(folder))
            progress.advance()
    if options.html is not None:
        write_index(found, options.folder, options.html)
        print(options.html)
        return
    rows = [HEAD, *(row(one, options.folder) for one in found)]
    print(*columns(rows, " ".join(NUMBERS)), sep="\n")
