"""What ``--clean`` names: settings that go together, under those of a user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dslm.preprocess.clean.pipeline import STEPS

Settings = dict[str, Any]


def none() -> Settings:
    """Leaves texts as they are."""
    return {}


def text() -> Settings:
    """Repairs texts: encoding, Unicode form, control characters, markup, white space."""
    return _steps_of("text")


def web() -> Settings:
    """Repairs, identifies languages, rules of Gopher, C4, FineWeb, personal data, duplicates."""
    return {**_steps_of("web"), "duplicates": {"documents": True, "paragraphs": True}}


PRESETS: dict[str, Callable[[], Settings]] = {"none": none, "text": text, "web": web}


def _steps_of(preset: str) -> Settings:
    steps = [name for name, step in STEPS.items() if preset in step.presets]
    return {"cleaning": {name: {"on": True} for name in steps}}
