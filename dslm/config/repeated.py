"""JSON whose blocks give no key twice: Python keeps the last of two and says nothing."""

from __future__ import annotations

import json
from typing import Any


def load_json(text: str, **how: Any) -> tuple[Any, list[str]]:
    """The value of a text, and the keys that a block of it gives more than once.

    Args:
        text: of JSON.
        how: as for `json.loads`.

    Raises:
        json.JSONDecodeError: it is none.
    """
    repeated: list[str] = []

    def block(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        repeated.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(pairs)

    return json.loads(text, object_pairs_hook=block, **how), repeated
