"""``dslm inspect RUN --text TEXT``, ``memory``, ``bias``: a look inside a trained model."""

from __future__ import annotations

from collections.abc import Callable

from dslm.commands.cli import Parser, typed_path
from dslm.commands.inspect_bias import bias
from dslm.commands.inspect_memory import memory
from dslm.commands.model_options import selected
from dslm.commands.rounding import add_rounding
from dslm.commands.run_option import add_run, add_step
from dslm.errors import Problem, UserError
from dslm.inference.selection import Selected
from dslm.inspection.row import (
    check_attention,
    check_likelihood,
    check_target,
    check_text,
    row_of,
)

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
        found.problems += _check(model, options.text, options.target)
    if found.problems or model is None:
        raise UserError(*found.problems)

    from dslm.inference.trained import load_selected
    from dslm.inspection.look import look
    from dslm.inspection.page import write_look

    trained, tokenizer = load_selected(model), model.tokenizer
    row = row_of(options.text, tokenizer, model.objective)
    target = options.target and int(tokenizer.encode([options.target])[0][0])
    page = options.output or model.folder.path / PAGE
    shape = model.config.model
    size = f"{shape.layers} layers × {shape.heads} heads, {shape.width} wide"
    about = f"step {trained.step:,}", size, f"objective {model.objective.kind}"
    causal = shape.attention == "causal"
    write_look(look(trained, row, target), page, model.folder.path.resolve().name, about, causal)
    print(page)


def _check(model: Selected, text: str, target: str | None) -> list[Problem]:
    """Why a look inside is not possible."""
    run, shape = model.folder.path, model.config.model
    problems = check_attention(shape, run) + check_likelihood(model.objective, run)
    if not problems:
        problems = check_text(text, shape, model.objective, model.tokenizer)
        problems += [] if target is None else check_target(target, model.tokenizer)
    return problems


def _parser() -> Parser:
    example = 'dslm inspect runs/a --text "The river falls into the sea."'
    parser = Parser("dslm inspect", DESCRIPTION, example, text="--text")
    add_run(parser)
    what = "the text, in quotes; <mask> in it hides a token from a model that fills masks"
    parser.add_argument("--text", metavar="TEXT", required=True, help=what)
    which = "the token whose saliency is shown (default: the likeliest)"
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
