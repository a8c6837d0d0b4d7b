"""``dslm inspect RUN --text TEXT``, ``memory``, ``bias``: a look inside a trained model."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from dslm.commands.cli import Parser, typed_path
from dslm.commands.inspect_bias import bias
from dslm.commands.inspect_memory import memory
from dslm.commands.model_options import selected
from dslm.commands.rounding import add_rounding
from dslm.commands.run_option import add_run, add_step
from dslm.errors import Problem, UserError
from dslm.inference.selection import Selected, classes_of
from dslm.inspection.row import (
    check_attention,
    check_look,
    check_target,
    check_text,
    row_of,
)
from dslm.tasks.base import Task

PAGE = "inspect.html"
DESCRIPTION = f"""\
Write a page about what happens in a model while it reads a text: attention of each layer and head,
attention rollout, surprisal, gradient × input saliency, logit lens. It is {PAGE} in the folder of
the run. Not of a text:

  dslm inspect memory RUN --data SHARDS    which training sequences it continues word for word
  dslm inspect bias RUN --pairs FILE       which sentences of pairs it prefers
"""


def main(arguments: list[str]) -> None:
    """Run the verb that the first argument names; without one, look at a text."""
    verb = VERBS.get(arguments[0], _text) if arguments else _text
    verb(arguments[1:] if verb is not _text else arguments)


def _text(arguments: list[str]) -> None:
    """Write the page about a text and print its path."""
    options, found = _parser().parse_with_problems(arguments)
    model = selected(options, found)
    if model is not None and options.text is not None:
        found.problems += _check(model, options)
    if found.problems or model is None:
        raise UserError(*found.problems)

    from dslm.inference.trained import load_selected
    from dslm.inspection.look import look
    from dslm.inspection.page import write_look
    from dslm.inspection.target import with_target

    trained, tokenizer, classes = load_selected(model), model.tokenizer, _classes(model)
    row = row_of(options.text, tokenizer, model.objective, options.second)
    row = with_target(trained, row)
    target = options.target
    if target is not None:
        target = classes.index(target) if classes else int(tokenizer.encode([target])[0][0])
    page = options.output or model.folder.path / PAGE
    shape = model.config.model
    size = f"{shape.blocks} layers × {shape.heads} heads, {shape.width} wide"
    about = f"step {trained.step:,}", size, f"objective {model.objective.kind}"
    seen = look(trained, row, target, classes)
    write_look(seen, page, model.folder.path.resolve().name, about)
    print(page)


def _classes(model: Selected) -> tuple[str, ...]:
    """What the model predicts where these are no tokens."""
    if not model.config.model.classes or not isinstance(model.objective, Task):
        return ()
    return classes_of(model.folder.path, model.objective)


def _check(model: Selected, options: Namespace) -> list[Problem]:
    """Why a look inside is not possible."""
    run, shape, tokenizer = model.folder.path, model.config.model, model.tokenizer
    classes, target = _classes(model), options.target
    problems = check_attention(shape, run) + check_look(model.objective, classes, run)
    if not problems:
        problems = check_text(options.text, options.second, shape, model.objective, tokenizer)
        problems += [] if target is None else check_target(target, tokenizer, classes)
    return problems


def _parser() -> Parser:
    example = 'dslm inspect runs/a --text "The river falls into the sea."'
    parser = Parser("dslm inspect", DESCRIPTION, example, text="--text")
    add_run(parser)
    what = "the text, in quotes; <mask> in it hides a token from a model that fills masks"
    parser.add_argument("--text", metavar="TEXT", required=True, help=what)
    what = "the second text of a pair; what a question in --text is about (default: none)"
    parser.add_argument("--second", metavar="TEXT", help=what)
    which = "the token or class whose saliency is shown (default: the likeliest)"
    parser.add_argument("--target", metavar="TOKEN", help=which)
    where = f"write the page there (default: {PAGE} in the run)"
    parser.add_argument("--output", metavar="PAGE", type=typed_path, help=where)
    add_step(parser)
    add_rounding(parser)
    return parser


VERBS: dict[str, Callable[[list[str]], None]] = {
    "memory": memory,
    "bias": bias,
}
