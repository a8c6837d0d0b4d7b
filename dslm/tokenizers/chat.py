"""Records of chats and instructions: their turns, and these as plain text.

    User: What is red?

    Assistant: A colour.

So is rendered as a document, where it has no text of its own and no ``--text-key`` was given, and
so, with the end of a document behind each answer, is learned to be answered:

- ``messages`` or ``conversations``: a list of turns, each with ``role`` and ``content`` (OpenAI) or
  ``from`` and ``value`` (ShareGPT); a content may be a list of parts, of which those of text count;
  calls of tools are written as JSON;
- ``instruction``, ``input`` and ``output`` (Alpaca), with ``history``, or ``context`` and
  ``response`` (Dolly); ``prompt`` and ``completion`` or ``response``, which may be lists of turns;
  each with a ``system`` text, or without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

RENDERED = "rendered from chat"
"""How such documents are counted."""

TURNS = ("messages", "conversations")
PAIRS = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("prompt", "completion"),
    ("prompt", "response"),
)
BESIDE = ("system", "input", "context", "history")
BETWEEN = "\n\n"
"""What stands between two turns."""
ROLES = {"human": "User", "gpt": "Assistant", "bot": "Assistant", "model": "Assistant"}
"""Names of roles other than their own with a capital."""


Turn = tuple[str, str]
"""Who speaks, and what."""


def conversation(record: Mapping[str, Any]) -> str | None:
    """The text of a record, nothing when it is no chat and no instruction.

    Raises:
        ValueError: it looks like one, but its turns are no text.
    """
    found = turns_of(record)
    if found is None:
        return None
    return BETWEEN.join(f"{speaker(role)}: {text}" for role, text in found)


def turns_of(record: Mapping[str, Any]) -> list[Turn] | None:
    """The turns of a record that say something; nothing when it is no chat and no instruction.

    Raises:
        ValueError: it looks like one, but its turns are no text.
    """
    key = next((key for key in TURNS if isinstance(record.get(key), list)), None)
    pair = next((pair for pair in PAIRS if pair[0] in record and pair[1] in record), None)
    if key:
        turns = [*map(_turn, record[key])]
    elif pair:
        turns = [*_pairs(record, *pair)]
    else:
        return None
    turns.insert(0, ("system", _text(record.get("system"))))
    return [(role, text) for role, text in turns if text]


def speaker(role: str) -> str:
    """What a text calls who has a role."""
    return ROLES.get(role, role.capitalize())


def chat_keys(names: Sequence[str]) -> list[str]:
    """Those columns of a table that `conversation` reads; none where it is no chat."""
    shapes = [*((name,) for name in TURNS), *PAIRS]
    shape = next((shape for shape in shapes if {*shape} <= {*names}), ())
    return [name for name in (*shape, *BESIDE) if shape and name in names]


def _pairs(record: Mapping[str, Any], asked: str, answered: str) -> Iterator[Turn]:
    if isinstance(record[asked], list) and isinstance(record[answered], list):
        yield from map(_turn, [*record[asked], *record[answered]])
        return
    about = record.get("input") or record.get("context")
    question = "\n\n".join(filter(None, map(_text, (record[asked], about))))
    before = record.get("history") or []
    for pair in [*(before if isinstance(before, list) else [before]), [question, record[answered]]]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError("a history that is no list of pairs")
        yield from zip(("user", "assistant"), map(_text, pair), strict=True)


def _turn(turn: Any) -> Turn:
    if isinstance(turn, dict):
        for role, content in (("role", "content"), ("from", "value")):
            if isinstance(turn.get(role), str):
                calls = turn.get("tool_calls")
                asked = [*map(_called, calls)] if isinstance(calls, list) else []
                if content not in turn and not asked:
                    raise ValueError(f"a turn without {content!r}")
                return turn[role], "\n".join(filter(None, [_text(turn.get(content)), *asked]))
    raise ValueError("a turn without a role")


def _called(call: Any) -> str:
    """A call of a tool: its name and arguments, without its id."""
    called = call.get("function", call) if isinstance(call, dict) else call
    return json.dumps(called, ensure_ascii=False, default=str)


def _text(content: Any) -> str:
    """The text of a turn, which may be made of parts or be nothing."""
    if isinstance(content, list):
        texts = [part.get("text") if isinstance(part, dict) else part for part in content]
        return "\n".join(text for text in texts if isinstance(text, str))
    if content is None or isinstance(content, str):
        return content or ""
    raise ValueError("a turn whose content is no text")
