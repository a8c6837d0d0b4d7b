"""Say how a run stands: ``status RUN`` prints a word, the step and the last sign of life."""

from __future__ import annotations

from pathlib import Path

from dslm.commands.cli import Parser
from dslm.run.folder import RunFolder
from dslm.run.standing import read_standing


def main(argv: list[str]) -> None:
    """Print one line that begins with the word, which a batch script can read."""
    parser = Parser("status", "Say how a run stands: running, preempted, done, failed or crashed.")
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of the run")
    folder = RunFolder(parser.parse_args(argv).run)
    record = folder.read()
    beat = record.get("heartbeat") or {}
    words = [read_standing(folder, record).word, f"step {beat.get('step', folder.newest_step())}"]
    if beat:
        words.append(f"{beat['phase']}, last heard of at {beat['time']}")
    print(" · ".join([*words, *([record["ended"]] if record.get("ended") else [])]))
