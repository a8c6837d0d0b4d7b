"""What keeps a run over several hosts from starting, found in what they said of themselves."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dslm.cluster.survey import HERE, Answer, Survey
from dslm.errors import Problem
from dslm.progress import human

CLOCK = 5.0
"""Seconds by which clocks may differ: the times in logs and heartbeats are compared."""
FILES = 1024
"""Open files that a rank may need."""
SHM = 2**29
"""Bytes of ``/dev/shm`` through which the GPUs of a host exchange; containers often have 64 MiB."""


def check_hosts(
    survey: Survey, slots: Mapping[str, int], folder: Path, port: int, force_multi: bool
) -> list[Problem]:
    """All mistakes.

    Args:
        survey: what the hosts said.
        slots: the ranks for each host.
        folder: what they are to share.
        port: where the ranks will meet.
        force_multi: whether ``--force_multi`` will be given to ``deepspeed``.
    """
    problems = []
    for answer in survey.answers:
        if answer.error:
            fix = f"ssh {answer.host} true must work without a question or a password"
            problems.append(Problem(answer.host, None, f"is not reached: {answer.error}", fix))
        else:
            problems += _same(answer, survey)
            problems += _fit(answer, slots[answer.host], folder, len(slots) > 1)
    problems += _twice(survey.answers)
    problems += _shared(survey, folder)
    problems += _port(survey, port)
    problems += _alone(survey.answers, force_multi)
    return problems


def _same(answer: Answer, survey: Survey) -> Iterator[Problem]:
    """Whether a host has this machine's Python, packages, code and time."""
    here, there, host = survey.here, answer.facts, answer.host
    fix = "install the same environment at the same path on all hosts"
    if there["python"] != here["python"]:
        yield Problem(f"{host}: python", there["python"], f"here it is {here['python']}", fix)
    for name, version in here["versions"].items():
        if there["versions"][name] != version:
            found = there["versions"][name] or "not installed"
            yield Problem(f"{host}: {name}", found, f"here it is {version or 'not installed'}", fix)
    if there["code"] != here["code"]:
        rule = f"the files of dslm are others than here ({here['code']})"
        yield Problem(f"{host}: code", there["code"], rule, "copy the same code to all hosts")
    if abs(answer.clock) > CLOCK:
        rule = f"is {abs(answer.clock):.0f} s {'ahead' if answer.clock > 0 else 'behind'}"
        yield Problem(f"{host}: clock", None, rule, "start NTP on all hosts")


def _fit(answer: Answer, slots: int, folder: Path, several: bool) -> Iterator[Problem]:
    """Whether a host can hold its ranks."""
    facts, host = answer.facts, answer.host
    if facts["gpus"] and slots > facts["gpus"]:
        fix = f"write slots={facts['gpus']}"
        yield Problem(f"{host}: slots", slots, f"there are {facts['gpus']} GPUs", fix)
    if "unwritable" in facts:
        rule = f"cannot be written there: {facts['unwritable']}"
        yield Problem(f"{host}: {folder}", None, rule, "mount it at the same path on all hosts")
    own = facts["own"]
    if several and (own is None or own.startswith("127.")):
        rule = f"{facts['host']!r} is {own or 'no address'} there, where no other host reaches it"
        fix = f"give it its address in {host}'s /etc/hosts, or set GLOO_SOCKET_IFNAME"
        yield Problem(f"{host}: name", None, rule, fix)
    if 0 <= facts["files"] < FILES:
        fix = f"ulimit -n {FILES}"
        yield Problem(f"{host}: open files", facts["files"], "is too low a limit", fix)
    if facts["gpus"] > 1 and facts["shm"] < SHM:
        rule = f"{human(facts['shm'])}B are too few for the GPUs of a host"
        yield Problem(f"{host}: /dev/shm", None, rule, "start the container with --shm-size=8g")


def _twice(answers: Sequence[Answer]) -> Iterator[Problem]:
    """Two names of one host would start two sets of ranks on it."""
    seen: dict[str, str] = {}
    for answer in answers:
        if answer.facts:
            key = f"{answer.facts['host']} {answer.facts['addresses']}"
            if key in seen:
                rule = f"is the same machine as {seen[key]}"
                yield Problem(answer.host, None, rule, "remove one of the two lines")
            seen.setdefault(key, answer.host)


def _shared(survey: Survey, folder: Path) -> Iterator[Problem]:
    fix = "mount one file system at this path on all hosts"
    for host, missing in survey.unseen.items():
        rule = f"is not shared: {host} does not see what was written on {', '.join(missing)}"
        yield Problem(str(folder), None, rule, fix)


def _port(survey: Survey, port: int) -> Iterator[Problem]:
    first = next((answer for answer in survey.answers if answer.facts), None)
    if first is None:
        return
    if not first.facts["port"]:
        rule = f"is taken on {first.host}"
        yield Problem("master_port", port, rule, "choose another with --master_port")
        return
    for host in survey.unmet:
        rule = f"{host} does not reach {first.host} there"
        fix = "open the port in the firewall; ranks also talk at ports that the kernel chooses"
        yield Problem("master_port", port, rule, fix)


def _alone(answers: Sequence[Answer], force_multi: bool) -> Iterator[Problem]:
    """One host that is not this machine: the launcher would start the ranks here."""
    if len(answers) != 1 or force_multi or not answers[0].facts:
        return
    if answers[0].facts["host"] != socket.gethostname():
        rule = f"is the only host and not {HERE}, where deepspeed would start the ranks"
        yield Problem(answers[0].host, None, rule, "give --force_multi here and to deepspeed")
