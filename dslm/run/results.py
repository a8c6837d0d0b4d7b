"""What was measured of a run's model, and what it wrote: histories in the run's folder.

``evaluations.jsonl`` and ``samples.jsonl`` hold one object a line. Lines are only ever added, so
that commands which run at the same time lose nothing of each other; of lines about the same
question the last one counts. Earlier versions had ``evaluation.json`` and ``sample.txt``, a single
answer each, which are still read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dslm.files.typed import typed
from dslm.files.whole import read_json
from dslm.run.metrics import parse_object, read_lines

Result = dict[str, Any]

EVALUATIONS, SAMPLES = "evaluations.jsonl", "samples.jsonl"
ONE_EVALUATION, ONE_SAMPLE = "evaluation.json", "sample.txt"
"""What earlier versions had."""
QUESTION = ("step", "scheme", "group_size", "calibrate")
"""What both kinds of results depend on: which weights, and how they are rounded…"""
TEXT = (*QUESTION, "fingerprint")
"""… then an evaluation on its text…"""
PROMPT = (
    *(*QUESTION, "prompt", "max_new_tokens", "temperature", "top_k", "top_p", "seed", "sample"),
    *("repetition_penalty", "stop", "beams", "length_penalty"),
)
"""… and a sample on how it was drawn."""
TEXTS = ("time", "scheme", "calibrate", "data", "fingerprint", "prompt", "text")
"""What is text…"""
COUNTS = ("step", "group_size", "tokens", "max_new_tokens", "top_k", "seed")
"""… or a whole number in both kinds of results…"""
ANSWERS = "answers"
"""… or, of a task, what was right and what was predicted; all else are figures."""


def add_evaluation(run: Path, found: Mapping[str, Any]) -> None:
    """Add what was measured.

    Args:
        run: the folder of the run.
        found: the keys of `TEXT`, the name of the text as ``data``, and the figures.

    Raises:
        OSError: the folder cannot be written.
    """
    _add(run / EVALUATIONS, found)


def add_sample(run: Path, found: Mapping[str, Any]) -> None:
    """Add a text that the model wrote: the keys of `PROMPT`, and ``text``.

    Raises:
        OSError: the folder cannot be written.
    """
    _add(run / SAMPLES, found)


def read_evaluations(run: Path) -> list[Result]:
    """The last answer to each question, in the order in which they were given.

    Raises:
        ConfigError: what an earlier version wrote is broken.
    """
    before = run / ONE_EVALUATION
    one = [_sound(read_json(before))] if before.exists() else []
    found = [*one, *_lines(run / EVALUATIONS)]
    return _last([one for one in found if any(isinstance(v, float) for v in one.values())], TEXT)


def read_samples(run: Path) -> list[Result]:
    """The last text for each prompt and way of drawing, in the order in which they were written."""
    before = run / ONE_SAMPLE
    text = before.read_text(encoding="utf-8", errors="replace") if before.exists() else ""
    one = [{"text": text}] if text else []
    written = [line for line in _lines(run / SAMPLES) if "text" in line]
    return _last([*one, *written], PROMPT)


def _add(path: Path, found: Mapping[str, Any]) -> None:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    line = json.dumps({"time": now, **found}) + "\n"
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            line = f"\n{line}"  # a full disk has cut the one before it
        os.write(file, line.encode())  # in one piece: others may write as well
    finally:
        os.close(file)


def _lines(path: Path) -> list[Result]:
    """The whole lines; one may be cut short by a full disk."""
    read = [_sound(line) for line in map(parse_object, read_lines(path)) if line is not None]
    return [one for one in read if "step" in one]


def _sound(result: Result) -> Result:
    """A result without what is null or of another type than its commands write."""
    kinds = {**dict.fromkeys(TEXTS, str), **dict.fromkeys(COUNTS, int), ANSWERS: dict}
    known = ((key, typed(value, kinds.get(key, float))) for key, value in result.items())
    return {key: value for key, value in known if value is not None}


def _last(results: Iterable[Result], question: tuple[str, ...]) -> list[Result]:
    kept: dict[str, Result] = {}
    for result in results:
        key = json.dumps([result.get(name) for name in question])
        kept.pop(key, None)
        kept[key] = result
    return list(kept.values())
