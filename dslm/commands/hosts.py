"""Check all hosts of a run before it starts: ``hosts HOSTFILE``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dslm.cluster.hostfile import check_environment_files, read_hostfile
from dslm.cluster.survey import Survey, ask
from dslm.cluster.verdict import check_hosts
from dslm.commands.cli import Parser, typed_path
from dslm.environment import launcher_files
from dslm.errors import SetupError
from dslm.progress import human

HEAD = ("host", "slots", "python", "torch", "deepspeed", "dslm", "code", "GPUs", "CPUs", "disk")


def main(argv: list[str]) -> None:
    """Ask every host at once; print a table, and raise for what is wrong."""
    purpose = "Check every host of a hostfile, over ssh, all at once."
    parser = Parser("dslm hosts", purpose, "dslm hosts hosts --folder runs")
    parser.add_argument("hostfile", metavar="HOSTFILE", type=typed_path, help="as for deepspeed")
    parser.add_argument(
        "--folder",
        metavar="DIR",
        type=typed_path,
        default=Path(),
        help="what all hosts must share: where the runs and shards are (default: this folder)",
    )
    port = "where the ranks will meet"
    parser.add_argument("--master_port", metavar="PORT", type=int, default=29500, help=port)
    parser.add_argument("--force_multi", action="store_true", help="as it is given to deepspeed")
    patience = "how long a host is waited for"
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=60.0, help=patience)
    options = parser.parse_args(argv)
    slots, problems = read_hostfile(options.hostfile)
    problems += check_environment_files(launcher_files())
    if slots:
        survey = ask(list(slots), options.folder, options.master_port, options.timeout)
        print(*_table(survey, slots), sep="\n")
        where = options.folder, options.master_port, options.force_multi
        problems += check_hosts(survey, slots, *where)
    if problems:
        raise SetupError(*problems)
    print(f"\n{len(slots)} hosts, {sum(slots.values())} ranks: ready")


def _table(survey: Survey, slots: Mapping[str, int]) -> list[str]:
    rows = [list(HEAD)]
    for answer in survey.answers:
        facts = answer.facts
        if not facts:
            rows.append([answer.host, str(slots[answer.host]), f"no answer: {answer.error}"])
            continue
        packages = [facts["versions"][name] or "none" for name in ("torch", "deepspeed", "dslm")]
        rest = [facts["code"] or "none", str(facts["gpus"]), str(facts["cpus"])]
        free = f"{human(facts['disk'])}B free" if "disk" in facts else "none"
        first = [answer.host, str(slots[answer.host]), facts["python"]]
        rows.append([*first, *packages, *rest, free])
    whole = [row for row in rows if len(row) == len(HEAD)]
    widths = [max(len(row[column]) for row in whole) for column in range(len(HEAD))]
    widths[0] = max(len(row[0]) for row in rows)
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]
