"""What all ranks must agree on before anything expensive starts: settings, data, versions, folder.

Each rank checks for itself, without torch (`prepare`). Then all meet; each says what it found, and
the first one compares. Nobody trains unless everybody can, and nobody waits for one who cannot.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

import dslm
from dslm.environment import World, check_meeting_point
from dslm.errors import Problem, ReportedError, SetupError, UserError
from dslm.launchers import ASKS_TO_END
from dslm.parallel.world import meet
from dslm.progress import counted
from dslm.run.folder import flat
from dslm.run.process import Process
from dslm.signals import REQUESTS
from dslm.train.prepare import Job

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

MINUTES = 10.0
"""How long ranks wait for one that has not started."""
LATER = 15.0
"""Seconds in which other mistakes are collected, once there is one."""
SHARED = 20.0
"""Seconds in which what one host writes must be seen on all, if they share a folder."""
SILENT = 5.0
"""Seconds that the first rank waits for others before it says so."""
SHOWN = 8
"""Ranks that are named then."""
HELD = 3.0
"""Seconds for which mistakes are held back, for the launcher to have its say before them."""
GOODBYE = 5.0
"""Seconds that the first rank, at which all others have asked, waits until all have heard."""


@dataclass(frozen=True)
class Finding:
    """What one rank has found out about itself."""

    rank: int
    host: str
    problems: list[Problem] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Values by group, which says what a key in it is called, and key."""
    token: str = ""
    """On the first rank: what it has written into the run's folder."""


def agree(
    world: World,
    job: Job | None,
    problems: Sequence[Problem],
    report: Callable[[UserError], object],
) -> None:
    """Go on only if all ranks can, and are about to do the same; every rank must call it.

    Args:
        world: this rank among the others.
        job: what it is going to do; `None` if its checks failed.
        problems: what they found.
        report: shows mistakes to the user; called on one rank alone.

    Raises:
        UserError: on a rank alone in its world: its problems.
        ReportedError: on all ranks: some rank has found mistakes, which one has reported.
        SetupError: the ranks do not find each other.
    """
    token = ""
    if job is not None and not problems and world.is_main:
        token, more = _claim(job)
        problems = [*problems, *more]
    if world.size == 1:
        if problems := [*problems, *check_meeting_point(world)]:
            raise UserError(*problems)
        return
    facts = facts_of(job) if job is not None and not problems else {}
    mine = Finding(world.rank, Process.this().host, list(problems), facts, token)
    store = meet(world, MINUTES)
    found = _compare(store, world, mine) if world.is_main else _ask(store, job, mine)
    if not found:
        return
    held = world.launcher in ASKS_TO_END and world.local_size > 1
    if world.is_main:
        if not held:  # MPI drops what is printed once another rank has ended
            report(UserError(*found))
        if not _decide(store, world, found) and held:
            report(UserError(*found))
    elif held and world.rank == world.local_rank == world.local_size - 1:
        REQUESTS.wait_to_be_asked(HELD)  # the launcher names and ends this process last
        report(UserError(*found))
    raise ReportedError(2)


def facts_of(job: Job) -> dict[str, dict[str, Any]]:
    """What must be the same on all ranks."""
    versions = {name: version(name) for name in ("torch", "deepspeed", "numpy")}
    sources = {str(source.folder): source.fingerprint for source in job.sources.all}
    return {
        "{}": flat(job.settings),
        "{} of DeepSpeed's JSON": flat(job.deepspeed),
        "data {}": sources,
        "version of {}": {
            "python": platform.python_version(),
            "dslm": dslm.__version__,
            "the code of dslm": code_digest(Path(dslm.__file__).parent),
            **versions,
        },
    }


def code_digest(folder: Path) -> str:
    """A short digest of all modules in a folder."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def differences(findings: Iterable[Finding]) -> list[Problem]:
    """Everything that keeps ranks from training together, each thing once."""
    every = sorted(findings, key=lambda finding: finding.rank)
    first = every[0]
    problems, known = list(first.problems), set(map(str, first.problems))
    for finding in every[1:]:
        for problem in finding.problems:
            if str(problem) not in known:
                where = f"rank {finding.rank} on host {finding.host}: {problem.where}"
                problems.append(Problem(where, problem.found, problem.rule, problem.fix))
    able = [finding for finding in every if finding.facts]
    groups = dict.fromkeys(group for finding in able for group in finding.facts)
    for group in groups:
        names = {name for finding in able for name in finding.facts.get(group, {})}
        for name in sorted(names):
            problems += _difference(group, name, able)
    return problems


def _difference(group: str, name: str, findings: Sequence[Finding]) -> list[Problem]:
    """A problem if a fact is not the same on all ranks."""
    holders: dict[str, list[Finding]] = {}
    for finding in findings:
        value = finding.facts.get(group, {}).get(name)
        holders.setdefault(json.dumps(value, sort_keys=True), []).append(finding)
    if len(holders) < 2:
        return []
    values = (f"{value} on {_named(ranks)}" for value, ranks in holders.items())
    fix = "start all ranks with the same settings, files and installation"
    return [Problem(group.format(name), None, f"is {' and '.join(values)}", fix)]


def _named(ranks: Sequence[Finding]) -> str:
    first, *more = ranks
    others = f" and {len(more)} more" if more else ""
    return f"rank {first.rank} (host {first.host}){others}"


def _claim(job: Job) -> tuple[str, list[Problem]]:
    """The first rank takes the run's folder; returns the mark that it has left there."""
    folder = job.folder
    try:
        folder.failure.unlink(missing_ok=True)
        for file in folder.stalls.glob("*.txt"):
            file.unlink()
        return folder.heartbeats.begin(), []
    except OSError as error:
        reason = (error.strerror or "cannot be written").lower()
        return "", [Problem("run", str(folder.path), reason, "choose another run=")]


def _compare(store: Store, world: World, mine: Finding) -> list[Problem]:
    """The first rank: collect what all have found; returns what is wrong."""
    _put(store, mine)
    findings, missing = {0: mine}, set(range(1, world.size))
    end, said = time.monotonic() + 60 * MINUTES, time.monotonic() + SILENT
    while missing and time.monotonic() < end:
        for rank in sorted(missing):
            if store.check([f"finding/{rank}"]):
                findings[rank] = _get(store, rank)
                missing.remove(rank)
        if any(finding.problems for finding in findings.values()):
            end = min(end, time.monotonic() + LATER)
        if missing and time.monotonic() > said:
            waited, said = ", ".join(map(str, sorted(missing)[:SHOWN])), math.inf
            more = ", …" if len(missing) > SHOWN else ""
            who = f"{counted(len(missing), 'rank')} of {world.size}: {waited}{more}"
            sys.stderr.write(f"waiting for {who}\n")
        time.sleep(0.05)
    problems = differences(findings.values())
    if missing and not problems:
        ranks = ", ".join(map(str, sorted(missing)))
        rule = f"ranks {ranks} of {world.size} have not started within {MINUTES:g} minutes"
        problems.append(Problem("ranks", None, rule, "look at their hosts"))
    if not problems:
        store.set("verdict", "[]")
    return problems


def _decide(store: Store, world: World, problems: Sequence[Problem]) -> bool:
    """The first rank: let the others know, and wait a moment until they do; returns if they do."""
    store.set("verdict", TypeAdapter(list[Problem]).dump_json(list(problems)).decode())
    end = time.monotonic() + GOODBYE
    while store.add("heard", 0) < world.size - 1:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _ask(store: Store, job: Job | None, mine: Finding) -> list[Problem]:
    """Another rank: say what it has found, and hear what is wrong."""
    from torch.distributed import DistError

    minutes = timedelta(minutes=MINUTES, seconds=LATER)
    try:
        if job is not None:
            store.wait(["finding/0"], minutes)
            if token := _get(store, 0).token:
                mine = _at_the_same_folder(job, mine, token)
        _put(store, mine)
        store.wait(["verdict"], minutes)
        found = TypeAdapter(list[Problem]).validate_json(store.get("verdict"))
        store.add("heard", 1)
    except (DistError, RuntimeError) as error:
        rule = "has ended, or does not answer any more, before the ranks agreed to start"
        first_line = (str(error).strip().splitlines() or [""])[0]
        raise SetupError(Problem("rank 0", None, f"{rule} ({first_line})")) from None
    return found


def _at_the_same_folder(job: Job, mine: Finding, token: str) -> Finding:
    """This rank's finding, with whether its folder of the run is the first rank's."""
    if job.folder.heartbeats.has_token(token, SHARED):
        return mine
    rule = "is another folder on this host than on the first rank's, or cannot be read"
    fix = "choose a folder that all hosts share: run=/PATH/ON/SHARED/STORAGE"
    problem = Problem("run", str(job.folder.path.absolute()), rule, fix)
    return Finding(**{**vars(mine), "problems": [*mine.problems, problem]})


def _put(store: Store, finding: Finding) -> None:
    values = asdict(finding)
    store.set(f"finding/{finding.rank}", json.dumps(values, default=str))


def _get(store: Store, rank: int) -> Finding:
    return TypeAdapter(Finding).validate_json(store.get(f"finding/{rank}"))
