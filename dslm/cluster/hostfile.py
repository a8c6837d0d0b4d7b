"""Read a hostfile and an environment file as DeepSpeed's launcher does, but report every mistake.

The launcher goes on with this machine alone where the hostfile does not exist, and stops at the
first line that it cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from dslm.errors import Problem

LINE = re.compile(r"(\S+)\s+slots=(\d+)")
"""What DeepSpeed looks for at the beginning of a line; it does not read what follows."""
FORM = "write HOST slots=N, N the number of ranks there"


def read_hostfile(path: Path) -> tuple[dict[str, int], list[Problem]]:
    """The hosts with their slots, in their order, and what is wrong with the file.

    Empty lines and lines that begin with ``#`` are left out, and so is what follows the number
    after a space, such as a comment. ``slots=2x``, which DeepSpeed takes for 2, is a mistake.
    """
    if not path.is_file():
        rule = "does not exist; deepspeed would go on with this machine alone"
        return {}, [Problem(str(path), None, rule, FORM)]
    hosts: dict[str, int] = {}
    problems = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found, where = LINE.match(text), f"{path}:{number}"
        if not found or text[found.end() :][:1].strip():
            problems.append(Problem(where, text, "is no host with its slots", FORM))
            continue
        host, slots = found[1], int(found[2])
        if host in hosts:
            problems.append(Problem(where, host, "stands there twice", "remove one of the lines"))
        elif host.startswith("-"):
            problems.append(Problem(where, host, "is no name of a host", FORM))
        elif not slots:
            fix = "remove the line, or give the number of ranks"
            problems.append(Problem(where, text, "no rank would start there", fix))
        hosts.setdefault(host, slots)
    if not hosts and not problems:
        problems.append(Problem(str(path), None, "names no host", FORM))
    return hosts, problems


def check_environment_files(paths: Iterable[Path]) -> list[Problem]:
    """The lines of environment files at which DeepSpeed's launcher would crash."""
    fix = "each line must be NAME=VALUE; remove comments and empty lines"
    return [
        Problem(f"{path}:{number}", line, "deepspeed cannot read this line", fix)
        for path in paths
        if path.is_file()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if not re.match(r"\w+=", line)
    ]
