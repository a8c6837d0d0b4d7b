"""Say how a run stands: ``status RUN`` prints a word, the step and the last sign of life."""

from __future__ import annotations

from dslm.commands.cli import Parser
from dslm.commands.run_option import add_run
from dslm.errors import ReportedError
from dslm.files.typed import typed
from dslm.run.folder import RunFolder
from dslm.run.standing import WORDS, read_standing


def main(argv: list[str]) -> None:
    """Print one line that begins with the word; a script may ask for the exit code alone.

    Raises:
        ReportedError: the word is none of those expected: exit code 1.
    """
    purpose = f"Say how a run stands: {', '.join(WORDS[:-1])} or {WORDS[-1]}."
    parser = Parser("dslm status", purpose, "dslm status runs/a --expect done")
    add_run(parser)
    parser.add_argument(
        "--expect",
        metavar="WORD",
        choices=WORDS,
        action="append",
        default=[],
        help="end with exit code 0 if it stands so, else with 1; may be repeated (default: 0)",
    )
    options = parser.parse_args(argv)
    folder = RunFolder.open(options.run)
    record = folder.read()
    word = read_standing(folder, record).word
    # That of a run that has ended is of some moment before.
    beat = typed(record.get("heartbeat"), dict) if record.get("status") == "running" else None
    words = [word, f"step {(beat or {}).get('step', folder.newest_step())}"]
    if beat:
        words.append(f"{beat.get('phase')}, last heard of at {beat.get('time')}")
    print(" · ".join([*words, *([str(record["ended"])] if record.get("ended") else [])]))
    if options.expect and word not in options.expect:
        raise ReportedError(1)
