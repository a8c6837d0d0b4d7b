"""What ``--clean`` names: settings that go together, under those of a user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Settings = dict[str, Any]


def none() -> Settings:
    """Leaves texts as they are."""
    return {}


def text() -> Settings:
    """Repairs texts: encoding, Unicode form, control characters, markup, white space."""
    return _on("mojibake", "unicode", "controls", "markup", "whitespace")


def web() -> Settings:
    """Repairs, identifies languages, rules of Gopher, C4, FineWeb, personal data, duplicates."""
    steps = _on(
        "mojibake",
        "unicode",
        "controls",
        "markup",
        "whitespace",
        "lines",
        "language",
        "quality",
        "repetition",
        "personal",
    )
    return {**steps, "duplicates": {"documents": True, "paragraphs": True}}


PRESETS: dict[str, Callable[[], Settings]] = {"none": none, "text": text, "web": web}


def _on(*steps: str) -> Settings:
    return {"cleaning": {step: {"on": True} for step in steps}}
