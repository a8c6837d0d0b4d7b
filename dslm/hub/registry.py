"""Which families there are, and which one a folder or a model of ours is of."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dslm.errors import ConfigError, Problem
from dslm.hub.families import MODEL_TYPES, check_type
from dslm.hub.family import Family
from dslm.hub.foresight import check_shape
from dslm.hub.settings import named_class, refused
from dslm.model.config import ModelConfig

FAMILIES: list[Family] = [import_module(f"{__package__}.{kind}").FAMILY for kind in MODEL_TYPES]
BY_CLASS = {name: family for family in FAMILIES for name in family.architectures}
BY_TYPE = {family.model_type: family for family in FAMILIES}


def family_of_settings(settings: dict[str, Any], where: str) -> Family:
    """The family of a config.json with these settings, `where` being its path.

    The type decides, as in `transformers`; only where there is none, the class.

    Raises:
        ConfigError: it is of none, or the class is not of that type.
    """
    named, kind = named_class(settings), settings.get("model_type")
    key, name, families = "model_type", kind, BY_TYPE
    if kind is None and named is not None:
        key, name, families = "architectures", named, BY_CLASS
    check_type(name, f"{where}: {key}", tuple(families))
    family = families[str(name)]
    if named is not None and named not in family.architectures:
        rule = f"is no class of model_type = {kind!r} that dslm has"
        fix = f"it has {' and '.join(family.architectures)}"
        raise ConfigError(Problem(f"{where}: architectures", named, rule, fix))
    return family


def family_of_model(config: ModelConfig) -> Family:
    """The family that can express a model of ours.

    Raises:
        ConfigError: none can; with what keeps it from the nearest.
    """
    return families_of_model(config)[0]


def families_of_model(config: ModelConfig) -> list[Family]:
    """All families that can express a model of ours, the usual one first.

    Raises:
        ConfigError: none can; with what keeps it from the nearest.
    """
    if recurrent := check_shape(config):
        raise ConfigError(*recurrent)
    problems = [refused(family, config) for family in FAMILIES]
    fewest = min(problems, key=len)
    if fewest:
        raise ConfigError(*fewest)
    return [family for family, found in zip(FAMILIES, problems, strict=True) if not found]
