"""The options by which a model is measured on a task, its own or one that it was not trained for.

Nothing here needs torch.
"""

from __future__ import annotations

import shlex
from argparse import Namespace
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

from dslm.commands.cli import Parser, typed_path
from dslm.config.overrides import merge, parse_words
from dslm.config.parse import parse
from dslm.errors import Problem, Problems, UserError
from dslm.inference.selection import Selected
from dslm.tasks.base import Task
from dslm.tasks.example import Record
from dslm.tasks.records import records
from dslm.tasks.registry import TASKS, ObjectiveConfig, check_objective
from dslm.train.data import objective_of

KEY = "objective."
"""How the settings of a task begin."""


def add_task(parser: Parser) -> None:
    """Add ``--task``, its settings, and the solved records before each."""
    meaning = "what it is measured on (default: the task of the run, if it has one)"
    parser.add_argument("--task", choices=[*TASKS], help=meaning)
    meaning = "settings of the task, such as objective.choice.options=choices"
    parser.add_argument("words", metavar="objective.KEY=VALUE", nargs="*", default=[], help=meaning)
    meaning = "solved records before each one (default: 0)"
    parser.add_argument("--shots", metavar="N", type=int, default=0, help=meaning)
    meaning = "the file of labelled records whose first ones they are (default: none)"
    parser.add_argument("--shots-from", metavar="FILE", type=typed_path, help=meaning)


def for_task(model: Selected, options: Namespace, found: Problems) -> Selected:
    """The model with the task that the options choose; what is wrong is noted."""
    if options.task is None and not options.words:
        return model
    known = len(found.problems)
    config = found.collect(_settings, model, options)
    if config is None:
        return model
    kind = config.selected
    needs_head = issubclass(kind, Task) and kind.model(config.settings).get("classes") != 0
    if needs_head and not isinstance(model.objective, kind):
        rule = "needs scores of classes, which the run does not have"
        run = shlex.quote(str(model.folder.path))
        fix = f"train it for them: launch/fine_tune.py {run} --task {options.task} …"
        found.problems.append(Problem("--task", config.kind, rule, fix))
    elif needs_head and (rule := _other_classes(model, config.settings)):
        found.problems.append(Problem(f"{KEY}{config.kind}.labels", config.settings.labels, rule))
    elif unfit := check_objective(config, model.config.model):
        rule = f"is nothing that the model of {model.folder.path} can do"
        wanted = ", ".join(f"{one.where} = {one.found!r}" for one in unfit)
        fix = f"use a run that is not of {wanted}"
        found.problems.append(Problem("--task", config.kind, rule, fix))
    if len(found.problems) > known:
        return model
    changed = replace(model.config, objective=config)
    objective = found.collect(objective_of, changed, model.folder.tokenizer)
    missing = [*({*objective.special()} - model.tokenizer.special.keys())] if objective else []
    if missing:
        rule = f"needs ids for {' and '.join(missing)}, which the tokenizer of the run lacks"
        found.problems.append(Problem("--task", config.kind, rule))
        return model
    return model if objective is None else replace(model, config=changed, objective=objective)


def _other_classes(model: Selected, settings: Any) -> str:
    """Why labels are not those that the run has learned; nothing if they are."""
    learned = getattr(model.objective.settings, "labels", None)
    return "" if getattr(settings, "labels", None) == learned else f"the run has learned {learned}"


def shots(options: Namespace, task: Task | None, found: Problems) -> list[Record]:
    """The solved records; what is wrong is noted."""
    if options.shots < 0:
        problem = Problem("--shots", options.shots, "must be 0 or more")
        found.problems.append(problem)
    elif bool(options.shots) != (options.shots_from is not None):
        fix = "give both --shots N and --shots-from FILE, or neither"
        found.problems.append(Problem("--shots", options.shots, "needs the records", fix))
    elif options.shots and task is None and options.task is None:
        rule, fix = "are put before the records of a task", "say which: --task choice"
        found.problems.append(Problem("--shots", options.shots, rule, fix))
    elif options.shots and task is not None and not task.takes_shots:
        rule = f"a model of {task.kind} is trained for it"
        found.problems.append(Problem("--shots", options.shots, rule, "leave it out"))
    elif options.shots and options.data and options.data.resolve() == options.shots_from.resolve():
        rule = "is what is asked: some records would stand behind their own answers"
        fix = "give other records"
        found.problems.append(Problem("--shots-from", str(options.shots_from), rule, fix))
    elif options.shots:
        return found.collect(_first, options) or []
    return []


def check_made(options: Namespace) -> list[Problem]:
    """What cannot change examples that have been made; asked where ``--data`` is a shard set."""
    given = {"--shots": options.shots, **dict.fromkeys(options.words)}
    rule = f"does not change examples that are made, those of {options.data}"
    fix = "give the file of records as --data, or leave it out"
    return [
        Problem(name, value, rule, fix) for name, value in given.items() if value or name[0] != "-"
    ]


def _first(options: Namespace) -> list[Record]:
    """The first records of the file.

    Raises:
        UserError: it cannot be read, or holds fewer.
    """
    path = options.shots_from
    if not path.is_file():
        raise UserError(Problem("--shots-from", str(path), "no such file"))
    whole = (record for _, record in records(path) if record is not None)
    first = [*islice(whole, options.shots)]
    if len(first) < options.shots:
        rule = f"holds {len(first)} records, but --shots asks for {options.shots}"
        raise UserError(Problem("--shots-from", str(path), rule, f"use --shots {len(first)}"))
    return first


def _settings(model: Selected, options: Namespace) -> ObjectiveConfig:
    """The objective of the run, changed as the options say.

    Raises:
        UserError: with every setting that is wrong.
    """
    others = [word for word in options.words if not word.startswith(KEY)]
    if others:
        rule = "is no setting of a task"
        fix = "write it as objective.KIND.KEY=VALUE"
        raise UserError(*(Problem(word, None, rule, fix) for word in others))
    given = parse_words(word.removeprefix(KEY) for word in options.words)
    own = model.config.objective
    kind = options.task or own.kind
    before = {kind: asdict(own.settings)} if kind == own.kind else {}
    try:
        return parse(ObjectiveConfig, merge({"kind": kind, **before}, given))
    except UserError as error:
        named = (replace(problem, where=KEY + problem.where) for problem in error.problems)
        raise UserError(*named) from None
