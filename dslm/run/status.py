"""How a run stands, as ``run.json`` says it: a word for programs and a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

Status = Literal["running", "preempted", "done", "failed"]
"""Preempted: stopped because it was asked to, with a checkpoint; the same command goes on."""


def with_status_word(record: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``run.json``, where earlier versions wrote a sentence as the status.

    The sentence becomes ``ended``, and the status the word for it.
    """
    sentence = record.get("status")
    if sentence is None or sentence in get_args(Status):
        return dict(record)
    failed = str(sentence).startswith(("failed: ", "interrupted"))
    ended = str(sentence).removeprefix("failed: ")
    return {**record, "status": "failed" if failed else "done", "ended": ended}
