"""The table of what was survived, on the screen and in Markdown beside the peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dslm.chaos.bench import Bench
from dslm.chaos.rows import Row
from dslm.chaos.scenarios import Claim
from dslm.progress import duration

PEERS = ("HF Trainer + ZeRO-2", "DeepSpeed, ZeRO-2", "Lightning Fabric")
"""Others, measured under the same faults with two CPU ranks and a tiny model."""
THEIRS = {
    "1a": ("L!", "L!", "S"),
    "1b": ("L!", "S", "–"),
    "2": ("L", "L", "L"),
    "3": ("W", "W", "L"),
    "4": ("L!", "L!", "L!"),
    "5a": ("W", "W", "L"),
    "5b": ("W", "W", "–"),
    "6": ("L", "W", "–"),
    "7a": ("L", "L", "W"),
    "7b": ("L", "L", "W"),
    "8": ("L", "L", "–"),
    "9a": ("S", "S", "W"),
    "9b": ("W", "W", "S"),
    "10": ("S", "W", "W"),
    "11": ("L!", "S", "L!"),
    "12": ("W", "W", "W"),
    "13": ("S", "S", "L"),
    "14": ("W", "W", "W"),
}
"""What became of them in each row: S survived, L ended loudly, L! and stays stuck until a person
acts, W went wrong unnoticed."""


@dataclass(frozen=True)
class Outcome:
    """What became of a row."""

    key: str
    name: str
    verdict: str
    """``survived``, ``loud``, ``stuck`` or ``silent``."""
    seconds: float
    """From the start to the end of the disturbed start."""
    failed: tuple[str, ...]
    """The claims that did not hold."""
    notes: str
    """Folder with screens and the run."""


def tried(row: Row, bench: Bench) -> Outcome:
    """Let a row happen."""
    name = f"row-{row.key}"
    trial, claims = row.run(bench, name)
    failed = tuple(text for text, holds in claims if not holds)
    ended = verdict(claims, trial.stuck, trial.process.returncode)
    folder = str(bench.folder / name)
    return Outcome(row.key, row.name, ended, trial.seconds, failed, folder)


def verdict(claims: Sequence[Claim], stuck: bool, code: int) -> str:
    """How a scenario ended: see `Outcome`.

    Args:
        claims: what should be so.
        stuck: whether it did not end by itself.
        code: exit code of the start that was disturbed.
    """
    if stuck:
        return "stuck"
    if all(holds for _, holds in claims):
        return "survived"
    return "loud" if code else "silent"


def line(outcome: Outcome) -> str:
    """An outcome as a line of the screen, and what did not hold below it."""
    text = f"{outcome.key:<4}{outcome.name:<48}{outcome.verdict:<10}{duration(outcome.seconds):>6}"
    return "\n".join([text, *(f"      not so: {claim}" for claim in outcome.failed)])


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many survived, and how the others ended."""
    verdicts = [outcome.verdict for outcome in outcomes]
    others = ("loud", "stuck", "silent")
    counts = [f"{verdicts.count('survived')} of {len(verdicts)} survived"]
    return ", ".join(counts + [f"{verdicts.count(other)} {other}" for other in others])


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The table, with a column for each peer."""
    letters = {"survived": "S", "loud": "L", "stuck": "L!", "silent": "W"}
    head = ["", "fault", "dslm", "ended after", *PEERS]
    rows = [head, ["---"] * len(head)]
    for outcome in outcomes:
        own = f"**{letters[outcome.verdict]}**"
        after = duration(outcome.seconds)
        rows.append([outcome.key, outcome.name, own, after, *THEIRS[outcome.key]])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
