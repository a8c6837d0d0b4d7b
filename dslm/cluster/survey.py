"""Ask all hosts at once over ssh, and compare what they say."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dslm.cluster import probe
from dslm.environment import launcher_variables

AT_ONCE = 64
"""Hosts that are asked at the same time."""


@dataclass(frozen=True)
class Answer:
    """What one host said."""

    host: str
    """Its name in the hostfile."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """From `dslm.cluster.probe`; empty when it did not answer."""
    error: str = ""
    """Why not."""
    clock: float = 0.0
    """Seconds by which its clock is surely ahead of this one's; negative if behind."""


@dataclass(frozen=True)
class Survey:
    """What all hosts said."""

    here: Mapping[str, Any]
    """What this machine says of itself."""
    answers: list[Answer]
    unseen: Mapping[str, list[str]]
    """For each host the hosts whose files it does not see, `HERE` for this machine's."""
    unmet: list[str]
    """Hosts that do not reach the first one at the port."""


HERE = "this machine"


def ask(hosts: Sequence[str], folder: Path, port: int, seconds: float) -> Survey:
    """Ask every host.

    Args:
        hosts: their names for ssh.
        folder: what they are to share.
        port: where the ranks will meet.
        seconds: how long a host may take to answer.
    """
    mark = uuid.uuid4().hex[:8]
    tokens = {name: f".dslm-hosts-{mark}-{n}" for n, name in enumerate([HERE, *hosts])}
    place = str(folder.absolute())
    try:
        here = probe.describe(place, tokens[HERE], port)

        def describe(host: str) -> Answer:
            question = {"folder": place, "token": tokens[host], "port": port}
            return _question(host, "describe", question, seconds)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(describe, hosts))
        known = {answer.host: answer.facts for answer in answers if answer.facts}
        written = {h: t for h, t in tokens.items() if h == HERE or h in known}
        seen = _meet(known, written, place, port, seconds)
    finally:
        for token in tokens.values():
            with suppress(OSError):
                (folder / token).unlink()
    names = {token: name for name, token in written.items()}
    unseen = {h: [names[t] for t in found["missing"]] for h, found in seen.items()}
    unseen = {host: missing for host, missing in unseen.items() if missing}
    unmet = [host for host, found in seen.items() if not found["met"]]
    return Survey(here, answers, unseen, unmet)


def _meet(
    known: Mapping[str, Mapping[str, Any]],
    tokens: Mapping[str, str],
    folder: str,
    port: int,
    seconds: float,
) -> dict[str, Mapping[str, Any]]:
    """All who answered look for the tokens and meet at the first one."""
    if not known:
        return {}
    first = next(iter(known))
    address = next(iter(known[first]["addresses"]), first)

    def meet(host: str) -> Answer:
        others = len(known) - 1 if host == first else -1
        question = {"folder": folder, "tokens": list(tokens.values()), "address": address}
        return _question(host, "meet", {**question, "port": port, "others": others}, seconds)

    with ThreadPoolExecutor(max(AT_ONCE, 1)) as pool:
        answers = pool.map(meet, known)
    return {answer.host: answer.facts for answer in answers if answer.facts}


def _question(host: str, work: str, question: Mapping[str, object], seconds: float) -> Answer:
    """Send the program to a host, where it runs as a rank would: same folder, same Python."""
    variables = [f"{name}={value}" for name, value in launcher_variables().items()]
    command = ["env", *variables, sys.executable, "-", work, json.dumps(question)]
    remote = f"cd {shlex.quote(str(Path.cwd()))} && {shlex.join(command)}"
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={max(1, int(seconds / 2))}"]
    source = Path(probe.__file__).read_text(encoding="utf-8")
    sent = time.time()
    try:
        done = subprocess.run(
            ["ssh", *options, "--", host, remote],
            input=source,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(host, error=f"no answer within {seconds:.0f} s")
    except OSError as error:
        return Answer(host, error=f"ssh cannot be run ({error.strerror})")
    received = time.time()
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines()
        return Answer(host, error=said[-1] if said else f"ssh ended with code {done.returncode}")
    try:
        facts = json.loads(lines[-1])  # a shell may greet first
        clock = max(0.0, facts["ended"] - received) or min(0.0, facts["begun"] - sent)
    except (ValueError, KeyError, TypeError):
        return Answer(host, error=f"printed {lines[-1][:80]!r} in place of an answer")
    return Answer(host, facts, clock=clock)
