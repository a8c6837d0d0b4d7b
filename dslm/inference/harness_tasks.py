"""The tasks of lm-eval that are asked for, with their data; found and checked without torch.

Its own tasks, of which there are thousands, are looked through only for names that the user's
folder does not have. Files of tasks may name functions of Python files beside them, which are run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dslm.environment import stay_offline
from dslm.errors import DataError, Problem, Problems, SetupError, suggest
from dslm.inference.harness_requests import writing

WHERE = "--harness"


def check_harness() -> None:
    """That lm-eval is there.

    Raises:
        SetupError: it is not.
    """
    if not find_spec("lm_eval"):
        rule, fix = "the package is not installed", "pip install 'dslm[lm-eval]'"
        raise SetupError(Problem("lm-eval", None, rule, fix))


def find_tasks(names: Sequence[str], folder: Path | None) -> list[Any]:
    """Tasks and groups of tasks, their data loaded.

    Args:
        names: of tasks, groups or tags, with ``*`` of all that match, or files of tasks; none for
            all tasks of the folder.
        folder: the user's own tasks, if there are any.

    Raises:
        DataError: with everything that is wrong: a name that is unknown, data that is not on this
            machine, or a task that asks for what no model of ours does.
    """
    if folder is not None and not any(folder.glob("**/*.yaml")):
        fix = "give one with files *.yaml, each a task"
        raise DataError(Problem("--harness-path", str(folder), "holds no tasks", fix))
    stay_offline()
    import datasets
    from lm_eval.tasks import TaskManager

    datasets.disable_progress_bars()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    manager = TaskManager(include_path=folder, include_defaults=False)
    asked = names or manager.all_subtasks
    if not all(map(manager.match_tasks, ([name] for name in asked if not _is_file(name)))):
        manager = TaskManager(include_path=folder)
    found, specs = Problems(), list[str]()
    for name in asked:
        matching = [name] if _is_file(name) else manager.match_tasks([name])
        specs += [spec for spec in matching if spec not in specs]
        if not matching:
            rule, fix = (
                "lm-eval has no such task",
                suggest(name, manager.all_tasks, "see lm_eval ls"),
            )
            found.problems.append(Problem(WHERE, name, rule, fix))
    loaded = [found.collect(_load, manager, spec) for spec in specs]
    if not found.problems:
        found.collect(_check_apart, manager, [one for some in loaded for one in some or ()])
    if found.problems:
        raise DataError(*found.problems)
    return [one for some in loaded for one in some or ()]


def _is_file(name: str) -> bool:
    return name.endswith(".yaml")


def _load(manager: Any, spec: str) -> list[Any]:
    """The task or the group of a name, or the tasks of a tag.

    Raises:
        DataError: its file or its data cannot be used.
    """
    from datasets.exceptions import DatasetNotFoundError

    where = f"{WHERE} {spec}"
    try:
        loaded = manager.load([spec])
    except (DatasetNotFoundError, ConnectionError) as error:
        rule = f"its data is not on this machine ({_first_line(error)})"
        fix = (
            "load it once with HF_HUB_OFFLINE=0 HF_DATASETS_OFFLINE=0, or use a task of local files"
        )
        raise DataError(Problem(where, None, rule, fix)) from None
    except FileNotFoundError as error:
        rule, fix = f"its data is not there: {_first_line(error)}", "paths begin where you are"
        raise DataError(Problem(where, None, rule, fix)) from None
    except Exception as error:  # files of tasks may hold anything, also code
        rule = f"cannot be loaded: {type(error).__name__}: {_first_line(error)}"
        raise DataError(Problem(where, None, rule)) from None
    problems = [one for task in loaded["tasks"].values() for one in _check_task(task)]
    if problems:
        raise DataError(*problems)
    groups = [*loaded.get("groups", {}).values()]
    return groups[:1] or [*loaded["tasks"].values()]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _check_task(task: Any) -> list[Problem]:
    """What of a task no model of ours does."""
    where, found = f"{WHERE} {task.task_name}", Problems()
    if getattr(task, "MULTIMODAL", False):
        found.problems.append(Problem(where, None, "asks about pictures or sound"))
    if getattr(task, "UNSAFE_CODE", False):
        rule = "runs code that a model has written"
        found.problems.append(Problem(where, None, rule, "leave it out"))
    if task.OUTPUT_TYPE == "generate_until":
        found.collect(writing, task.config.generation_kwargs or {})
    return [Problem(where, None, str(one)) if one.where != where else one for one in found.problems]


def _check_apart(manager: Any, loaded: list[Any]) -> None:
    """That no task was asked for twice, by its name and by that of a group.

    Raises:
        DataError: one was.
    """
    try:
        manager.load(loaded)
    except ValueError as error:
        raise DataError(Problem(WHERE, None, str(error), "name each once")) from None
