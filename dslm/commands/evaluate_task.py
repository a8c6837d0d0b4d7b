"""Measure a model of a task on labelled records: its metrics, with intervals, and predictions."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dslm.commands.kept import keep, used
from dslm.commands.model_options import text_for
from dslm.commands.task_options import check_made
from dslm.environment import World
from dslm.errors import Problems, UserError
from dslm.files.whole import write_text
from dslm.inference.sampling import WritingConfig
from dslm.inference.selection import Selected, classes_of
from dslm.metrics.bootstrap import Estimate
from dslm.progress import Progress
from dslm.run.results import add_evaluation
from dslm.shards.shard_set import ShardSet
from dslm.tasks.base import Task
from dslm.tasks.coder import Coder
from dslm.tasks.example import Record
from dslm.tasks.example_set import Labelling, example_set, summary


def evaluate_task(
    model: Selected,
    world: World,
    task: Task,
    shots: Sequence[Record],
    writing: WritingConfig,
    options: Namespace,
    found: Problems,
) -> None:
    """Print the metrics of a task.

    Args:
        model: whose objective is the task.
        world: the ranks that share it.
        task: what is measured.
        shots: solved records before each.
        writing: how texts are written, of a task that writes.
        options: those of ``evaluate``.
        found: what is wrong so far.
    """
    if found.problems:
        raise UserError(*found.problems)
    from dslm.inference.errors_of_task import errors_of_task
    from dslm.inference.scoring import score
    from dslm.inference.trained import load_selected

    classes = classes_of(model.folder.path, task)
    with _examples(model, task, options, classes, shots) as shards:
        trained = load_selected(model, world)
        with Progress(shards.documents, "examples", "evaluating") as progress:
            scored = score(trained, task, shards, classes, progress.advance, writing)
        fingerprint = shards.fingerprint
        wrong = errors_of_task(trained, task, shards, classes, scored)
    if options.predictions:
        shown = (task.written(one, classes) for one in scored.predictions)
        lines = (json.dumps(one, ensure_ascii=False) for one in shown)
        write_text(options.predictions, "".join(f"{line}\n" for line in lines))
    figures = {"loss": scored.loss, **{name: one.value for name, one in scored.estimates.items()}}
    if options.json:
        intervals = {f"{name}_95": [one.low, one.high] for name, one in scored.estimates.items()}
        signed = {f"{name}_signature": text for name, text in _signatures(scored.estimates)}
        more = {**signed, "records": len(scored.predictions), "step": trained.step}
        print(json.dumps({**figures, **intervals, **more, "data": str(options.data)}))
    else:
        known = [f"{name:<11}{text}" for name, text in _signatures(scored.estimates)]
        print(*_lines(scored.estimates, scored.loss), *known, sep="\n")
        print(
            f"{'records':<11}{len(scored.predictions):,} of {options.data}, "
            f"model of step {trained.step:,}"
        )
        if options.predictions:
            print(f"{'written':<11}{options.predictions}")
    text = {"data": str(options.data), "fingerprint": fingerprint}
    answers = {**task.analysis(scored.predictions, classes), **wrong}
    kept = {**used(trained, options), **text, **figures, "answers": answers}
    keep(model.folder.path, add_evaluation, kept)


def _lines(estimates: dict[str, Estimate], loss: float) -> list[str]:
    width = max(11, *(len(name) + 2 for name in estimates))
    lines = [
        f"{name.replace('_', ' '):<{width}}{one.value:.4f}  ({one.low:.4f} – {one.high:.4f})"
        for name, one in estimates.items()
    ]
    return [*lines, f"{'loss':<{width}}{loss:.4f}"]


def _signatures(estimates: dict[str, Estimate]) -> list[tuple[str, str]]:
    return [(name, one.signature) for name, one in estimates.items() if one.signature]


@contextmanager
def _examples(
    model: Selected,
    task: Task,
    options: Namespace,
    classes: tuple[str, ...],
    shots: Sequence[Record],
) -> Iterator[ShardSet]:
    """The examples of a shard set, or those made of a file of records for as long as needed."""
    data: Path = options.data
    if not data.is_file():
        found = Problems()
        found.problems += check_made(options)
        shards = text_for(model, data, found)
        if shards is None or found.problems:
            raise UserError(*found.problems)
        yield shards
        return
    context = task.context
    full, two_stacks = model.config.model.attention == "full", context.two_stacks
    coder = Coder(model.tokenizer, full, context.sequence, shots, two_stacks)
    how = Labelling(type(task), task.settings, coder, classes)
    with TemporaryDirectory(prefix="dslm-examples-") as folder:
        made = example_set(data, Path(folder) / "set", how)
        print(*summary(data, made), sep="\n", file=sys.stderr)
        yield made
