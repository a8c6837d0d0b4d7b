"""Measure a run by tasks of lm-eval: ``evaluate RUN --harness TASKS``."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import Any

from dslm.commands.cli import Parser, typed_path
from dslm.commands.kept import keep, used
from dslm.commands.writing_options import NAMES as WRITING
from dslm.environment import World
from dslm.errors import Problem, Problems, UserError
from dslm.inference.harness_requests import check_objective
from dslm.inference.harness_tasks import check_harness, find_tasks
from dslm.inference.selection import Selected
from dslm.run.results import add_evaluation

OWN = ("harness", "harness_path", "num_fewshot", "limit")
OTHERS = ("data", "predictions", "task", "shots", "shots_from", *WRITING)
"""Options of other ways to measure a run."""


def add_harness(parser: Parser) -> None:
    """Add ``--harness`` and what belongs to it."""
    parser.add_argument(
        "--harness",
        metavar="TASKS",
        help="measure by these tasks of lm-eval, such as arc_easy,piqa, instead (default: none)",
    )
    parser.add_argument(
        "--harness-path",
        metavar="FOLDER",
        type=typed_path,
        help="with tasks of your own, as lm-eval's YAML; all of them unless named (default: none)",
    )
    shots = "examples shown before each question (default: as the task says, else 0)"
    parser.add_argument("--num-fewshot", metavar="N", type=int, help=shots)
    limit = "of each task only the first questions (default: all)"
    parser.add_argument("--limit", metavar="N", type=int, help=limit)


def asks_harness(options: Namespace) -> bool:
    """Whether the options are about tasks of lm-eval."""
    return any(getattr(options, name) is not None for name in OWN)


def evaluate_harness(
    model: Selected | None, world: World, options: Namespace, found: Problems
) -> None:
    """Print the metrics of each task, with intervals; the options are those of ``evaluate``.

    Raises:
        UserError: with everything that is wrong, before torch is imported.
    """
    folder = options.harness_path
    names = [name for name in (options.harness or "").split(",") if name]
    found.problems += _check(options)
    known = len(found.problems)
    found.collect(check_harness)
    tasks, is_known = None, folder is None or folder.is_dir()
    if not names and folder is None:
        rule, fix = "no tasks are named", "write --harness arc_easy,piqa"
        found.problems.append(Problem("--harness", options.harness, rule, fix))
    elif is_known and len(found.problems) == known:
        tasks = found.collect(find_tasks, names, folder)
    if model is not None:
        found.problems += check_objective(model.objective, str(model.folder.path))
    if found.problems or model is None or tasks is None:
        raise UserError(*found.problems)

    from dslm.inference.harness_scores import measure
    from dslm.inference.trained import load_selected

    trained = load_selected(model, world)
    measured = measure(trained, tasks, options.num_fewshot, options.limit)
    if measured.shortened:
        print(
            f"note: {measured.shortened:,} texts are longer than what the model reads"
            f" ({trained.config.model.reach:,} tokens); it was shown their end",
            file=sys.stderr,
        )
    results = {one.name: one.record() for one in measured.results}
    by = {"step": trained.step, "lm_eval": measured.version, "limit": options.limit}
    if options.json:
        print(json.dumps({"tasks": results, **by}))
    else:
        for one in measured.results:
            print(*one.lines(), sep="\n")
        print(f"lm-eval {measured.version}, model of step {trained.step:,}")
    for one in measured.results:
        text = {"data": one.title, "fingerprint": f"lm-eval {one.question}"}
        keep(model.folder.path, add_evaluation, {**used(trained, options), **text, **one.figures})


def _check(options: Namespace) -> list[Problem]:
    """What is wrong with the options among themselves."""
    problems, folder = [], options.harness_path
    if folder is not None and not folder.is_dir():
        rule = "there is no such folder"
        problems.append(Problem("--harness-path", str(folder), rule, "give one of YAML files"))
    least: dict[str, tuple[Any, int]] = {
        "--num-fewshot": (options.num_fewshot, 0),
        "--limit": (options.limit, 1),
    }
    for name, (value, lowest) in least.items():
        if value is not None and value < lowest:
            problems.append(Problem(name, value, f"must be at least {lowest}"))
    rule = "is no setting of a task of lm-eval"
    problems += [Problem(word, None, rule, "leave it out") for word in options.words]
    for name in OTHERS:
        if value := getattr(options, name):
            rule, where = "has nothing to do with tasks of lm-eval", f"--{name.replace('_', '-')}"
            problems.append(Problem(where, str(value), rule, "leave it or --harness out"))
    return problems
