"""A value of the wrong type: what was most likely meant, and how it is typed."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from dslm.config.overrides import Written

FLAGS = {
    **dict.fromkeys(("true", "yes", "on", "1", "y", "t"), True),
    **dict.fromkeys(("false", "no", "off", "0", "n", "f"), False),
}
"""Words for true and false of other languages, in small letters."""
THOUSANDS = {"k": 10**3, "m": 10**6, "b": 10**9}
NUMBER = re.compile(r"([-+]?\d[\d_]*\.?\d*(?:e[-+]?\d+)?)([kmb%]?)")


def likely(found: Any, kind: str) -> Any:
    """The value that was most likely meant; `None` where nothing is likely.

    Args:
        found: a value of another type.
        kind: the type that the key has, in a reader's words (`dslm.config.help`).
    """
    if "text" in kind:
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        return str(found) if is_number else None
    if "true or false" in kind and not isinstance(found, float):
        return FLAGS.get(str(found).strip("\"' ,").lower())
    if isinstance(found, bool):
        return None
    if "number" in kind:
        number = found if isinstance(found, int | float) else _number(str(found))
        whole = "whole number" in kind
        if number is None or (whole and not float(number).is_integer()):
            return None
        return int(number) if whole else number
    return None


def word(key: str, value: Any) -> str:
    """A ``key=value`` word as one types it, so that it is read as this value."""
    return f"{key}={text(value)}"


def text(value: Any) -> str:
    """A value as one types it behind ``key=``."""
    if isinstance(value, str) and not _is_json(value):
        return shlex.quote(value)
    if isinstance(value, Written):
        return value.text
    return shlex.quote(json.dumps(value, ensure_ascii=False))


def _is_json(text: str) -> bool:
    """Whether a text would be read as something else than itself."""
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def _number(text: str) -> float | None:
    """The number that a text means: ``1_000``, ``1,000``, ``10k``, ``5 %``, ``0,1``, ``"8"``."""
    text = text.strip("\"' ,;=").lower().replace(" ", "")
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+", text):
        text = text.replace(",", "")
    matched = NUMBER.fullmatch(text.replace(",", "."))
    if matched is None:
        return None
    digits, unit = matched.groups()
    value = float(digits.replace("_", ""))
    return value / 100 if unit == "%" else value * THOUSANDS.get(unit, 1)
