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

MODULES = [import_module(f"{__package__}.{kind}") for kind in MODEL_TYPES]
FAMILIES: list[Family] = [module.FAMILY for module in MODULES]
VARIANTS: list[Family] = [one for module in MODULES for one in getattr(module, "VARIANTS", ())]
"""The same with other heads, see `dslm.hub.variants`."""
BY_CLASS = {name: family for family in (*FAMILIES, *VARIANTS) for name in family.architectures}
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
    if named is None:
        return family
    classes = {name: one for name, one in BY_CLASS.items() if one.model_type == family.model_type}
    if named not in classes:
        rule = f"is no class of model_type = {kind!r} that dslm has"
        raise ConfigError(
            Problem(f"{where}: architectures", named, rule, f"it has {', '.join(classes)}")
        )
    return classes[named]


def family_of_model(config: ModelConfig, task: str = "") -> Family:
    """The family that can express a model of ours.

    Args:
        config: its shape.
        task: the kind of task whose classes it scores, if it does.

    Raises:
        ConfigError: none can; with what keeps it from the nearest.
    """
    return families_of_model(config, task)[0]


def families_of_model(config: ModelConfig, task: str = "") -> list[Family]:
    """All families that can express a model of ours, the usual one first.

    Args:
        config: its shape.
        task: the kind of task whose classes it scores, if it does.

    Raises:
        ConfigError: none can; with what keeps it from the nearest.
    """
    if recurrent := check_shape(config):
        raise ConfigError(*recurrent)
    families = families_for(task)
    if not families:
        rule = "dslm knows no class of transformers for it"
        raise ConfigError(Problem("objective.kind", task, rule))
    problems = [refused(family, config) for family in families]
    fewest = min(problems, key=len)
    if fewest:
        raise ConfigError(*fewest)
    return [family for family, found in zip(families, problems, strict=True) if not found]


def families_for(task: str) -> list[Family]:
    """The families whose models score the classes of a task, or for none, token ids."""
    every = (*FAMILIES, *VARIANTS)
    return [family for family in every if family.task == task and not family.headless]
