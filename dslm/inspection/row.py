"""A text as the row of ids that a model is inspected with, and whether a model can be inspected.

Nothing here needs torch, so that all of it is refused before a model is loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dslm.errors import DataError, Problem, suggest
from dslm.inference.prompts import MASK, around_gaps, check_prompt, to_fill, to_restore
from dslm.model.config import ModelConfig
from dslm.objectives.base import Objective
from dslm.objectives.completion import Continue, Fill, Restore
from dslm.tasks.base import Task
from dslm.tasks.coder import Coder
from dslm.tasks.example import UnusableError
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.tokenizers.vocabulary import text_within

MOST = 1 << 24
"""Attention weights that a page holds, at most: as many bytes of the page."""


@dataclass(frozen=True)
class Row:
    """A text as a model reads it, from the beginning of a document."""

    ids: tuple[int, ...]
    """What surrounds a text included."""
    scored: tuple[int, ...]
    """The positions whose probability the model gives, rising."""
    masks: tuple[int, ...] = ()
    """The positions that the text leaves to be guessed."""
    source: tuple[int, ...] = ()
    """What an encoder reads; the ids are then those of a target."""
    asked: tuple[int, ...] = ()
    """The positions at which classes are predicted."""


def row_of(text: str, tokenizer: Tokenizer, objective: Objective, second: str | None = None) -> Row:
    """The row of a text; ``<mask>`` hides a token from a model that fills masks.

    Behind an encoder it has nothing of the target yet, see `dslm.inspection.target`.

    Args:
        text: what is read.
        tokenizer: makes the ids.
        objective: what the model was trained for.
        second: the second text of a pair.

    Raises:
        DataError: a character that the tokenizer does not know.
        UnusableError: what a model of a task cannot read.
    """
    if isinstance(objective, Task):
        coder = Coder(tokenizer, objective.context.full, sys.maxsize)
        texts = [text] if second is None else [text, second]
        if (found := objective.asked(texts, coder)) is not None:
            return Row(tuple(found[0]), (), asked=tuple(found[1]))
    if second is not None:
        raise UnusableError("is a second text, but the model reads one")
    how = objective.completion()
    if isinstance(how, Restore):
        return Row((), (), source=tuple(to_restore(tokenizer, how, text).tolist()))
    if isinstance(how, Fill):
        ids, masks = to_fill(tokenizer, how, around_gaps(tokenizer, MASK.split(text)))
        first = len(tokenizer.begin) if how.begin is None else 1
        last = len(ids) - (how.end is not None)
        scored = tuple(place for place in range(first, last) if place not in masks)
        return Row(tuple(ids), scored, tuple(masks))
    begin = tokenizer.prompt("")
    ids = [*begin, *tokenizer.encode([text])[0].tolist()]
    return Row(tuple(ids), tuple(range(max(1, len(begin)), len(ids))))


def check_row(where: str, text: str, model: ModelConfig, row: Row) -> list[Problem]:
    """Whether a row can be read by a model and leaves it something to predict.

    Args:
        where: what holds the text.
        text: the text.
        model: the shape of the model.
        row: of the text.
    """
    if not (row.scored or row.asked):
        rule = "holds no token to predict"
        return [Problem(where, text, rule, "give a longer text")]
    if model.reach is not None and len(row.ids) > model.reach:
        rule = f"gives {len(row.ids):,} tokens, but the model's window has {model.reach:,}"
        return [Problem(where, None, rule, "shorten it")]
    return []


def check_text(
    text: str,
    second: str | None,
    model: ModelConfig,
    objective: Objective,
    tokenizer: Tokenizer,
) -> list[Problem]:
    """What keeps ``--text``, and ``--second`` if it is given, from being looked at."""
    try:
        row = row_of(text, tokenizer, objective, second)
    except UnusableError as error:
        return [Problem("--text" if second is None else "--second", None, str(error))]
    except DataError as error:
        return [replace(problem, fix="leave it out of --text") for problem in error.problems]
    if row.source:
        found = check_prompt(text, model, objective, tokenizer, "")
        problems = [replace(problem, where="--text") for problem in found]
    else:
        problems = check_row("--text", text, model, row)
    weights = model.blocks * (model.heads or 1) * len(row.source or row.ids) ** 2
    if not problems and weights > MOST:
        rule = f"gives {weights:,} attention weights, and a page holds {MOST:,} at most"
        return [Problem("--text", None, rule, "shorten it")]
    return problems


def check_attention(model: ModelConfig, run: Path) -> list[Problem]:
    """Whether a model has attention to be looked at."""
    if model.recurrent:
        rule = f"has no attention (model.block = {model.block})"
        return [Problem(str(run), None, rule, "use a run with model.block=attention")]
    return []


def check_look(objective: Objective, classes: Sequence[str], run: Path) -> list[Problem]:
    """Whether what a model predicts of a text can be looked at.

    Args:
        objective: what it was trained for.
        classes: that it predicts, if these are no tokens.
        run: the folder of the model, to name it.
    """
    how = objective.completion()
    if len(classes) > 1 or (isinstance(how, Restore) and how.two_stacks):
        return []
    if classes:
        rule, fix = "predicts an amount, of which nothing is shown", "use a run of classes"
        return [Problem(str(run), None, rule, fix)]
    return check_likelihood(objective, run)


def check_likelihood(objective: Objective, run: Path) -> list[Problem]:
    """Whether a model gives the tokens of a text probabilities."""
    if isinstance(objective.completion(), (Continue, Fill)):
        return []
    rule = f"gives a text no probability (objective.kind = {objective.kind})"
    fix = "use a run trained with objective.kind=causal or masked"
    return [Problem(str(run), None, rule, fix)]


def check_continues(objective: Objective, run: Path) -> list[Problem]:
    """Whether a model continues a text."""
    if isinstance(objective.completion(), Continue):
        return []
    rule = f"does not continue a text (objective.kind = {objective.kind})"
    return [Problem(str(run), None, rule, "use a run trained with objective.kind=causal")]


def check_target(target: str, tokenizer: Tokenizer, classes: Sequence[str] = ()) -> list[Problem]:
    """Whether ``--target`` is a single token, or one of the classes that are predicted."""
    if classes:
        fix = suggest(target, classes, f"use one of {', '.join(classes)}")
        return [] if target in classes else [Problem("--target", target, "is no class", fix)]
    try:
        size = len(tokenizer.encode([target])[0])
    except DataError as error:
        return [replace(problem, fix="choose another --target") for problem in error.problems]
    if size == 1:
        return []
    rule, fix = f"is {size} tokens, not one", "give one token, with the space before it"
    return [Problem("--target", target, rule, fix)]


def pieces(tokenizer: Tokenizer, ids: tuple[int, ...]) -> list[str]:
    """The text of each id by itself; those that stand for none have a name in angle brackets."""
    names = {number: f"<{name}>" for name, number in tokenizer.special.items()}
    known = {one: names.get(one) or _piece(tokenizer, one) for one in set(ids)}
    return [known[one] or f"<{one}>" for one in ids]


def _piece(tokenizer: Tokenizer, one: int) -> str:
    """The text of an id; beyond those of the tokenizer an objective has that of its mask."""
    return text_within(tokenizer, [one]) if one < tokenizer.vocabulary else "<mask>"
