"""Completed prompts as they are printed, or written as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from dslm.files.whole import appearing
from dslm.tokenizers.tokenizer import Tokenizer

if TYPE_CHECKING:
    from dslm.inference.complete import Completed


def as_json(one: Completed, prompt: str, tokenizer: Tokenizer, measured: bool) -> dict[str, Any]:
    """What one line holds.

    Args:
        one: a prompt completed.
        prompt: the text as it was given.
        tokenizer: of the model.
        measured: whether each token and its log-probability are wanted.
    """
    line: dict[str, Any] = {"number": one.number, "sample": one.sample, "prompt": prompt}
    line |= {"text": one.text, "end": one.end, "new_tokens": len(one.written)}
    if one.score is not None:
        line["score"] = one.score
    if measured:
        line["given"] = _tokens(one.given, tokenizer)
        line["written"] = _tokens(one.written, tokenizer)
    return line


@contextmanager
def lines_to(path: Path | None) -> Iterator[TextIO | None]:
    """A file that appears when all its lines are written, if one was named."""
    if path is None:
        yield None
        return
    with appearing(path) as partial, partial.open("w", encoding="utf-8") as file:
        yield file


def heading(one: Completed, prompts: int, samples: int) -> list[str]:
    """The line, if any, before one of several texts that are printed."""
    words = [f"prompt {one.number + 1}"] if prompts > 1 else []
    words += [f"sample {one.sample + 1}"] if samples > 1 else []
    return [f"--- {', '.join(words)} ---"] if words else []


def dumped(line: dict[str, Any]) -> str:
    """A line of JSON, its letters as they are."""
    return json.dumps(line, ensure_ascii=False)


def _tokens(
    scored: Iterable[tuple[int, float | None]], tokenizer: Tokenizer
) -> list[dict[str, Any]]:
    """Each token with its text by itself, and its log-probability."""
    return [
        {"id": number, "text": tokenizer.decode([number]), "log_probability": log}
        for number, log in scored
    ]
