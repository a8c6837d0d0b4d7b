"""Prompts as ids: continued, or with something missing in them; and which of them cannot be used.

Nothing here needs torch, so that a prompt is refused before a model is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dslm.arrays import Int64Array
from dslm.errors import DataError, Problem
from dslm.inference.prompt_file import Prompt, first
from dslm.inference.sampling import SamplingConfig
from dslm.model.config import ModelConfig
from dslm.objectives.base import Objective
from dslm.objectives.completion import Continue, Fill, Restore
from dslm.tokenizers.tokenizer import Tokenizer

MASK = re.compile(r"<mask>|\[MASK\]")
"""What marks a mask in a text, whatever the tokenizer calls it."""
GAP = "<mask>"
"""What marks in a prompt to be restored that something is missing."""
TYPED = "--prompt"
SHORTER, OUT = "shorten it", "leave it out"
FILLS_NONE = "this model continues a text and fills no masks"
INSTEAD = "leave <mask> out, or use a run with objective.kind=masked or denoising"


def around_gaps(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """The texts between gaps, ready to be encoded.

    A space before a gap belongs to what is missing, as pieces of words begin with theirs; not so
    where tokens are characters.
    """
    if tokenizer.kind == "char":
        return list(texts)
    return [*(text.removesuffix(" ") for text in texts[:-1]), texts[-1]]


def to_fill(tokenizer: Tokenizer, how: Fill, texts: Sequence[str]) -> tuple[list[int], list[int]]:
    """The ids of a text with masks, and the places of the masks among them.

    Args:
        tokenizer: of the model.
        how: the ids of the mask and of what surrounds a text.
        texts: what stands between the masks, see `around_gaps`.
    """
    tokens = [*tokenizer.begin] if how.begin is None else [how.begin]
    positions = []
    first, *others = (ids.tolist() for ids in tokenizer.encode(texts))
    tokens += first
    for ids in others:
        positions.append(len(tokens))
        tokens += [how.mask, *ids]
    return tokens + ([] if how.end is None else [how.end]), positions


def to_restore(tokenizer: Tokenizer, how: Restore, prompt: str) -> Int64Array:
    """The ids of a damaged text, as an encoder reads them.

    Each gap has the mark that training gave it, see `around_gaps`.
    """
    if how.source is not None:
        return np.array(how.source(tokenizer, prompt), dtype=np.int64)
    texts = around_gaps(tokenizer, prompt.split(GAP))
    first, *others = (ids.astype(np.int64) for ids in tokenizer.encode(texts))
    parts = [np.array(tokenizer.begin, dtype=np.int64), first]
    for number, ids in enumerate(others):
        mark = how.marks[number : number + 1] or how.marks[-1:]
        parts += [np.array(mark, dtype=np.int64), ids]
    return how.frame.source(np.concatenate(parts))


def check_prompt(
    prompt: str, model: ModelConfig, objective: Objective, tokenizer: Tokenizer, run: str
) -> list[Problem]:
    """What keeps a prompt from being completed as a model was trained to.

    Args:
        prompt: the text.
        model: the shape of the model.
        objective: what the model was trained for.
        tokenizer: of the model.
        run: the folder of the model, to name it.
    """
    try:
        match objective.completion():
            case Continue():
                return _unlike_text(prompt, model, tokenizer)
            case Fill() as how:
                return _unlike_masked(prompt, how, model, tokenizer)
            case Restore() as how:
                return _unlike_damaged(prompt, how, tokenizer)
    except DataError as error:  # a character that the tokenizer does not know, or no record
        return [
            one if one.where == TYPED else Problem(TYPED, None, f"{one.where} {one.rule}", OUT)
            for one in error.problems
        ]
    rule = f"was not trained to complete a text (objective.kind = {objective.kind})"
    fix = "use a run trained with objective.kind=causal, masked or denoising"
    return [Problem(run, None, rule, fix)]


def check_prompts(
    prompts: Sequence[Prompt],
    model: ModelConfig,
    objective: Objective,
    tokenizer: Tokenizer,
    run: str,
) -> list[Problem]:
    """What keeps prompts from being completed; the other arguments are those of `check_prompt`."""
    found: dict[Problem, None] = {}
    for prompt in prompts:
        for problem in check_prompt(prompt.text, model, objective, tokenizer, run):
            typed = problem.where == TYPED
            found[replace(problem, where=prompt.where) if typed else problem] = None
    return first([*found], "--prompts")


def check_completion(
    sampling: SamplingConfig, objective: Objective, *, measured: bool = False
) -> list[Problem]:
    """What is asked of a model that its way to complete a text does not have.

    Args:
        sampling: how tokens are chosen.
        objective: what the model was trained for.
        measured: whether log-probabilities are wanted.
    """
    how = objective.completion()
    asked = {
        "--beams": sampling.beams if sampling.beams > 1 else None,
        "--samples": sampling.samples if sampling.samples > 1 else None,
        "--repetition-penalty": None
        if sampling.repetition_penalty == 1
        else sampling.repetition_penalty,
        "--stop": next(iter(sampling.stop), None),
        "--log-probabilities": measured or None,
    }
    if isinstance(how, Fill):
        rule = "this model fills all masks at once and writes nothing token by token"
        names = list(asked)
    elif isinstance(how, Restore) and how.in_place and not how.free:
        rule, names = "what this model writes goes into several places of a text", ["--stop"]
    else:
        return []
    wrong = {name: asked[name] for name in names if asked[name] is not None}
    return [Problem(name, value, rule, "leave it out") for name, value in wrong.items()]


def mask_as_text(prompt: str, objective: Objective) -> str | None:
    """What to say of a prompt whose mask will be read as text; `None` where there is none.

    Args:
        prompt: the text, which `check_prompt` has found right.
        objective: what the model was trained for.
    """
    if isinstance(objective.completion(), Continue) and (mask := MASK.search(prompt)):
        return f"{FILLS_NONE}: {mask[0]} is read as text; {INSTEAD}"
    return None


def _unlike_text(prompt: str, model: ModelConfig, tokenizer: Tokenizer) -> list[Problem]:
    """What cannot be continued."""
    try:
        tokens = len(tokenizer.prompt(prompt))
    except DataError:
        if MASK.search(prompt):
            return [Problem(TYPED, prompt, FILLS_NONE, INSTEAD)]
        raise
    if not tokens:
        rule = "must not be empty: this tokenizer has no mark for the beginning of a document"
        return [Problem(TYPED, prompt, rule, 'give a text, such as "The"')]
    if model.reach is None or tokens <= model.reach:
        return []
    return [_too_long(tokens, model.reach)]


def _unlike_masked(
    prompt: str, how: Fill, model: ModelConfig, tokenizer: Tokenizer
) -> list[Problem]:
    """What has no masks to fill, or does not fit the model's window."""
    texts = around_gaps(tokenizer, MASK.split(prompt))
    if len(texts) == 1:
        rule, fix = "must hold <mask>, which is to be filled", 'write "The <mask> of"'
        return [Problem(TYPED, prompt, rule, fix)]
    tokens, _ = to_fill(tokenizer, how, texts)
    return [_too_long(len(tokens), model.sequence)] if len(tokens) > model.sequence else []


def _unlike_damaged(prompt: str, how: Restore, tokenizer: Tokenizer) -> list[Problem]:
    """What cannot be restored."""
    size = to_restore(tokenizer, how, prompt).size
    gaps, marks, rule, fix = prompt.count(GAP), len(how.marks), None, ""
    called = "damaged text"
    if how.source is not None:
        gaps, called = 0, "source"
    if how.in_place and not (0 if how.free else 1) <= gaps <= marks:
        rule = f"must hold {GAP} where something is missing, at most {marks} times"
    elif gaps and not marks:
        rule = f"must not hold {GAP}: this model was shown no marks where something was missing"
    elif not how.frame.around_source < size <= how.longest:
        size, most = (n - how.frame.around_source for n in (size, how.longest))
        rule = f"has {size} tokens: a {called} of this model has 1 to {most}"
        fix = SHORTER if size else "give a text"
    return [] if rule is None else [Problem(TYPED, prompt, rule, fix)]


def _too_long(tokens: int, window: int) -> Problem:
    rule = f"gives {tokens} tokens, but the model's window has {window}"
    return Problem(TYPED, None, rule, SHORTER)
