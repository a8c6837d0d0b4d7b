"""Which families there are, and which one a folder or a model of ours is of."""

from __future__ import annotations

from typing import Any

from dslm.errors import ConfigError, Problem, suggest
from dslm.hub.family import Family
from dslm.hub.gpt2 import GPT2
from dslm.hub.llama import LLAMA
from dslm.hub.settings import refused
from dslm.model.config import ModelConfig

FAMILIES = {family.architecture: family for family in (GPT2, LLAMA)}


def family_of_settings(settings: dict[str, Any], where: str) -> Family:
    """The family of a config.json.

    Args:
        settings: its content.
        where: its path.

    Raises:
        ConfigError: it is of none.
    """
    named = settings.get("architectures") or [None]
    name = named[0] if isinstance(named, list) else named
    types = {family.model_type: family for family in FAMILIES.values()}
    family = types.get(str(settings.get("model_type"))) if name is None else None
    family = family or FAMILIES.get(str(name))
    if family is None:
        fix = suggest(name, FAMILIES, f"choose a model of {', '.join(FAMILIES)}")
        key = "architectures" if name is not None else "model_type"
        found = name if name is not None else settings.get("model_type")
        raise ConfigError(Problem(f"{where}: {key}", found, "is not a shape dslm has", fix))
    return family


def family_of_model(config: ModelConfig) -> Family:
    """The family that can express a model of ours.

    Raises:
        ConfigError: none can; with what keeps it from the nearest.
    """
    problems = {name: refused(family, config) for name, family in FAMILIES.items()}
    nearest = min(problems, key=lambda name: len(problems[name]))
    if problems[nearest]:
        raise ConfigError(*problems[nearest])
    return FAMILIES[nearest]
