"""Measure a trained model on held-out text: ``evaluate RUN --data SHARDS``."""

from __future__ import annotations

import json

from dslm.commands.cli import Parser, typed_path
from dslm.commands.evaluate_harness import add_harness, asks_harness, evaluate_harness
from dslm.commands.evaluate_task import evaluate_task
from dslm.commands.kept import keep, used
from dslm.commands.model_options import selected, text_for
from dslm.commands.ranks import add_rank, check_shared, together
from dslm.commands.rounding import add_rounding
from dslm.commands.run_option import add_run, add_step
from dslm.commands.task_options import add_task, for_task, shots
from dslm.commands.writing_options import add_writing, writing
from dslm.environment import World
from dslm.errors import Problem, UserError
from dslm.progress import Progress
from dslm.run.results import add_evaluation
from dslm.tasks.base import Task


def main(argv: list[str]) -> None:
    """Print loss, perplexity, bits per byte and what else the objective measures."""
    with together() as world:
        _evaluate(argv, world)


def _evaluate(argv: list[str], world: World) -> None:
    options, found = _parser().parse_with_problems(argv)
    model = selected(options, found)
    found.problems += check_shared(world, model, options)
    if asks_harness(options):
        evaluate_harness(model, world, options, found)
        return
    if options.data is None:
        found.problems.append(Problem("--data", None, "is missing", "see evaluate.py --help"))
    if model is not None:
        model = for_task(model, options, found)
    task = model.objective if model and isinstance(model.objective, Task) else None
    solved, how = shots(options, task, found), writing(options, task, found)
    if options.task is not None and found.problems:
        raise UserError(*found.problems)
    if model is not None and task is not None:
        evaluate_task(model, world, task, solved, how, options, found)
        return
    if options.predictions:
        rule = "are those of a task, see --task"
        found.problems.append(
            Problem("--predictions", str(options.predictions), rule, "leave it out")
        )
    shards = text_for(model, options.data, found)
    if found.problems or model is None or shards is None:
        raise UserError(*found.problems)

    from dslm.inference.evaluate import evaluate
    from dslm.inference.trained import load_selected

    trained = load_selected(model, world)
    with Progress(shards.tokens - 1, "tokens", "evaluating") as progress:
        result = evaluate(trained, shards, progress.advance)
    figures = {
        "loss": result.loss,
        **result.measures,
        "perplexity": result.perplexity,
        "bits_per_byte": result.bits_per_byte,
        "tokens": result.tokens,
    }
    figures = {name: value for name, value in figures.items() if value is not None}
    if options.json:
        print(json.dumps({**figures, "step": trained.step, "data": str(options.data)}))
    else:
        shown = {name.replace("_", " "): f"{value:.4f}" for name, value in figures.items()}
        shown["tokens"] = f"{result.tokens:,} of {options.data}, model of step {trained.step:,}"
        width = max(map(len, shown)) + 2
        print(*(f"{name:<{width}}{value}" for name, value in shown.items()), sep="\n")
    text = {"data": str(options.data), "fingerprint": shards.fingerprint}
    keep(model.folder.path, add_evaluation, {**used(trained, options), **text, **figures})


def _parser() -> Parser:
    purpose = "Measure a trained model on text, on the records of a task, or by tasks of lm-eval."
    example = "python launch/evaluate.py runs/a --data shards/validation"
    parser = Parser("evaluate.py", purpose, example)
    add_run(parser)
    parser.add_argument(
        "--data",
        metavar="SHARDS",
        type=typed_path,
        help="a shard set; for a task also a file of records (default: none, see --harness)",
    )
    add_task(parser)
    add_step(parser)
    parser.add_argument(
        "--predictions",
        metavar="FILE",
        type=typed_path,
        help="write those of a task as JSON lines (default: none)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_harness(parser)
    add_writing(parser)
    add_rounding(parser)
    add_rank(parser)
    return parser
