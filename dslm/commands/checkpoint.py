"""``dslm checkpoint list|verify|show|diff|prune``: what a run has, is it whole, what may go."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import datetime, timezone
from math import prod
from pathlib import Path
from typing import Any

from dslm.commands import checkpoint_screens as screens
from dslm.commands import checkpoint_tensor_screens as tensor_screens
from dslm.commands.cli import Parser, run_verb, typed_path
from dslm.commands.run_option import add_run, add_step
from dslm.errors import CheckpointError, Problem, ReportedError
from dslm.files.whole import read_json
from dslm.progress import Progress
from dslm.run.checkpoint import checkpoints, read_state, verify
from dslm.run.checkpoint_diff import diff_tensors, diff_values
from dslm.run.checkpoint_list import (
    damage,
    described,
    folder_bytes,
    known_record,
    own_record,
    positive,
    take_inventory,
)
from dslm.run.checkpoint_prune import carry_out, plan_pruning
from dslm.run.checkpoint_tensors import Tensors, open_tensors, selected, summarize
from dslm.run.folder import RunFolder, filled
from dslm.run.standing import is_free, read_standing

DESCRIPTION = """\
Look into the checkpoints of a run, or remove some.

  dslm checkpoint list RUN                     a table: how far, how good, how big, whole or not
  dslm checkpoint verify RUN [--step N]        compare every byte; name what is broken (exit code 1)
  dslm checkpoint show RUN [--step N]          what is in one; --tensor PATTERN selects
  dslm checkpoint diff RUN [RUN2] --steps A B  what is another in B than in A
  dslm checkpoint prune RUN --keep N           remove older ones and what was left unfinished;
                                               --dry-run only says what would go

All but prune print one JSON object with --json, and may be asked while the run is trained.
"""


def main(arguments: list[str]) -> None:
    """Run the verb that the first argument names."""
    run_verb("dslm checkpoint", DESCRIPTION, VERBS, arguments)


def _list(arguments: list[str]) -> None:
    parser = _parser("list", "The checkpoints of a run, the newest first.", "runs/a")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(arguments)
    folder = RunFolder.open(options.run)
    found = take_inventory(folder)
    if options.json:
        print(json.dumps(screens.list_record(options.run, found)))
        return
    record = known_record(folder)
    standing = read_standing(folder, record).sentence if record else "run.json is lost"
    print(*screens.list_screen(options.run, standing, found), sep="\n")


def _verify(arguments: list[str]) -> None:
    purpose = "Compare every byte of the checkpoints with their manifests."
    parser = _parser("verify", purpose, "runs/a")
    add_step(parser, "only this one (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args(arguments)
    folder = RunFolder.open(options.run, steps=True)
    step, path = folder.find_checkpoint(options.step)
    found = dict(checkpoints(folder.checkpoints))
    asked = found if options.step is None else {step: path}
    with Progress(sum(map(folder_bytes, asked.values())), "B", "verifying") as progress:
        wrong = {
            step: damage(path, lambda one: verify(one, progress.advance))
            for step, path in asked.items()
        }
    others = {step: damage(path) for step, path in found.items() if step not in asked}
    newest = max((s for s, problems in {**wrong, **others}.items() if not problems), default=None)
    verdicts = [
        screens.Verdict(step, path, folder_bytes(path), wrong[step])
        for step, path in asked.items()
        if path.is_dir()  # a run in training removes some meanwhile
    ]
    again = _same_command(folder)
    if options.json:
        print(json.dumps(screens.verify_record(options.run, verdicts, newest, again)))
    else:
        in_use = not is_free(folder.path / ".lock")
        print(*screens.verify_screen(verdicts, newest, max(found), again, in_use), sep="\n")
    if any(one.problems for one in verdicts):
        raise ReportedError(1)


def _same_command(folder: RunFolder) -> str:
    """How the run was started, but for what would keep it from going on; empty if not known."""
    words = known_record(folder).get("command") or []
    return shlex.join(str(word) for word in words if not str(word).startswith("fresh="))


def _show(arguments: list[str]) -> None:
    parser = _parser("show", "What is in a checkpoint.", "runs/a --step 200")
    add_step(parser)
    only = "only these, such as '*attention*' (default: all)"
    parser.add_argument("--tensor", metavar="PATTERN", help=only)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args(arguments)
    folder = RunFolder.open(options.run, steps=True)
    step, path = folder.find_checkpoint(options.step)
    tensors = selected(open_tensors(path), options.tensor)
    with Progress(_numbers(tensors), "numbers", "reading") as progress:
        summaries = [summarize(name, file, progress.advance) for name, file in tensors.items()]
    written = datetime.fromtimestamp((path / "manifest.json").stat().st_mtime, timezone.utc)
    facts = tensor_screens.Facts(
        run=options.run,
        step=step,
        path=path,
        format=read_json(path / "manifest.json")["format"],
        bytes=folder_bytes(path),
        written=written.isoformat(timespec="seconds"),
        layout=described(path, "layout", "plan"),
        versions=described(path, "versions", "versions"),
        state=read_state(path),
    )
    if options.json:
        print(json.dumps(tensor_screens.show_record(facts, summaries)))
    else:
        print(*tensor_screens.show_screen(facts, summaries), sep="\n")


def _numbers(tensors: Tensors) -> int:
    return sum(prod(file.shape(name)) for name, file in tensors.items())


def _diff(arguments: list[str]) -> None:
    purpose = "What is another in one checkpoint than in a second."
    parser = _parser("diff", purpose, "runs/a --steps 100 200")
    second = "the run of the second one (default: the same run)"
    parser.add_argument("other", metavar="RUN2", type=typed_path, nargs="?", help=second)
    parser.add_argument(
        "--steps",
        type=int,
        nargs=2,
        metavar=("A", "B"),
        help="the two (default: the newest of both runs, or the newest two of one)",
    )
    parser.add_argument("--all", action="store_true", help="show every changed tensor")
    parser.add_argument("--json", action="store_true", help="one JSON object, with every tensor")
    options = parser.parse_args(arguments)
    runs = RunFolder.open(options.run), RunFolder.open(options.other or options.run)
    steps = options.steps or _newest_steps(runs, two=options.other is None)
    pair = [run.find_checkpoint(step) for run, step in zip(runs, steps, strict=True)]
    before, after = (open_tensors(path) for _, path in pair)
    both = {name: file for name, file in before.items() if name in after}
    with Progress(_numbers(both), "numbers", "comparing") as progress:
        changes = diff_tensors(before, after, progress.advance)
    values = diff_values(*(_values(run, path) for run, (_, path) in zip(runs, pair, strict=True)))
    same = len(both) - sum(change.kind in ("reshaped", "changed") for change in changes)
    paths = [path for _, path in pair]
    if options.json:
        print(json.dumps(tensor_screens.diff_record(paths, changes, values, same)))
    else:
        print(
            *tensor_screens.diff_screen(paths, changes, values, same, every=options.all), sep="\n"
        )


def _newest_steps(runs: tuple[RunFolder, RunFolder], two: bool) -> list[int]:
    """Which checkpoints are compared when none are named."""
    steps = [run.find_checkpoint(None)[0] for run in runs]
    if two:
        older = [step for step, _ in checkpoints(runs[0].checkpoints) if step != steps[1]]
        if not older:
            rule, fix = "has a single checkpoint", "name a second run"
            raise CheckpointError(Problem(str(runs[0].path), None, rule, fix))
        steps[0] = older[0]
    return steps


def _values(run: RunFolder, path: Path) -> dict[str, Any]:
    """What a checkpoint says beside its tensors, and with which settings it was made."""
    record = own_record(path) or known_record(run)
    return {
        "state": {key: value for key, value in read_state(path).items() if key != "format"},
        "layout": described(path, "layout", "plan"),
        "versions": described(path, "versions", "versions"),
        "config": dict(filled(record.get("config", {}))),
        "deepspeed": record.get("deepspeed", {}),
    }


def _prune(arguments: list[str]) -> None:
    purpose = "Remove older checkpoints, and what was left unfinished."
    parser = _parser("prune", purpose, "runs/a --keep 2 --dry-run")
    parser.add_argument(
        "--keep",
        type=int,
        required=True,
        metavar="N",
        help="how many of the newest whole ones stay",
    )
    parser.add_argument(
        "--keep-every",
        type=int,
        metavar="M",
        help="those of every M-th step stay too, 0 = none (default: as the run keeps them)",
    )
    parser.add_argument(
        "--drop-best",
        action="store_true",
        help="do not keep the one with the lowest validation loss, which stays otherwise",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    options = parser.parse_args(arguments)
    problems = [
        Problem(option, value, f"must be {least} or more")
        for option, value, least in (
            ("--keep", options.keep, 1),
            ("--keep-every", options.keep_every or 0, 0),
        )
        if value < least
    ]
    if problems:
        raise CheckpointError(*problems)
    folder = RunFolder.open(options.run)
    every = options.keep_every
    if every is None:
        every = known_record(folder).get("config", {}).get("keep_every")
    try:
        _lock(folder)
        newest = dict(checkpoints(folder.checkpoints)).get(folder.newest_step())
        size = folder_bytes(newest) if newest else 0
        with Progress(size, "B", "verifying the newest") as progress:
            root = folder.checkpoints
            best = None if options.drop_best else take_inventory(folder).best
            pruning = plan_pruning(root, options.keep, positive(every), best, progress.advance)
        failed = [] if options.dry_run else carry_out(root, pruning)
    finally:
        folder.lock.release()
    print(*screens.prune_screen(pruning, options.dry_run), sep="\n")
    if failed:
        raise CheckpointError(*failed)


def _lock(folder: RunFolder) -> None:
    """Keep a run from starting there meanwhile.

    Raises:
        CheckpointError: one is training there, or nothing can be written there.
    """
    try:
        folder.lock.take()
    except CheckpointError as error:
        rule = f"is in use: {error.problems[0].rule}"
        fix = "wait for it: a run in training removes its own by keep= and keep_every="
        raise CheckpointError(Problem(str(folder.path), None, rule, fix)) from None
    except OSError as error:
        rule = f"cannot be written: {error.strerror}"
        raise CheckpointError(Problem(str(folder.path), None, rule)) from None


def _parser(verb: str, description: str, example: str) -> Parser:
    parser = Parser(f"dslm checkpoint {verb}", description, f"dslm checkpoint {verb} {example}")
    add_run(parser)
    return parser


VERBS: dict[str, Callable[[list[str]], None]] = {
    "list": _list,
    "verify": _verify,
    "show": _show,
    "diff": _diff,
    "prune": _prune,
}
