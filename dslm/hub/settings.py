"""config.json to a model's shape and back, by a family's tables."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

from dslm.config.parse import parse
from dslm.errors import ConfigError, Problem
from dslm.hub.family import REQUIRED, Family, Key
from dslm.model.check import check_model
from dslm.model.config import ModelConfig

ABSENT = object()
UNUSUAL: tuple[str, ...] = ("bottleneck_length", "encoder_layers", "attention_scale", "head_scale")
UNUSUAL += ("qk_norm", "experts")
"""Settings of ours that a family has as they are by default, if its tables do not name them."""
TRAIN = {"pooler": "train with objective.classification.pooler=true"}
"""How to get a setting of ours that a family has only one of, if the task decides on it."""


def read_settings(
    family: Family, settings: Mapping[str, Any], where: str, held: Container[str] = ()
) -> ModelConfig:
    """The shape of a model.

    Args:
        family: whose tables to go by.
        settings: the content of config.json.
        where: its path, for what is said about it.
        held: the names of the tensors that lie beside it.

    Raises:
        ConfigError: with everything in it that we do not compute, or compute otherwise.
    """
    settings = family.renewed(settings, held)
    values, problems = _values(family, settings)
    values |= {
        ours: True
        for ours, name in family.holds.items()
        if name in held or name.removeprefix(family.base) in held
    }
    problems += _fixed(family, settings)
    config = None
    try:
        config = parse(ModelConfig, values)
        if config.head_width and config.query_width == config.width:
            config = replace(config, head_width=None)
        problems += _shape(family, settings, config)
    except ConfigError as error:
        problems += [_renamed(family, p) for p in error.problems if p.where in values]
    if problems or config is None:
        problems = [Problem(f"{where}: {p.where}", p.found, p.rule, p.fix) for p in problems]
        raise ConfigError(*problems)
    return config


def write_settings(family: Family, config: ModelConfig) -> dict[str, Any]:
    """The inverse of `read_settings`, for a model that `refused` has nothing against."""
    architecture = next(
        name
        for name, ours in family.architectures.items()
        if all(getattr(config, key) == value for key, value in ours.items())
    )
    written: dict[str, Any] = {
        "architectures": [architecture],
        "model_type": family.model_type,
    }
    fixed = {name: value for name, value in family.theirs.items() if value is not None}
    derived = {name: getattr(config, ours) for name, ours in family.widths.items()}
    values = {key.theirs: _written(key, config) for key in family.keys}
    for path, value in {**values, **derived, **fixed}.items():
        *parents, leaf = path.split(".")
        node = written
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return written


def named_class(settings: Mapping[str, Any]) -> str | None:
    """The class that a config.json names, if it names one."""
    found = settings.get("architectures")
    name = found[0] if isinstance(found, list) and found else found
    return None if not name else str(name)


def refused(family: Family, config: ModelConfig) -> list[Problem]:
    """What keeps a model of ours from being one of a family."""
    problems = [
        Problem(
            f"model.{ours}",
            getattr(config, ours),
            f"{family.name} has only {_json(value)}",
            TRAIN.get(ours, ""),
        )
        for ours, value in family.ours.items()
        if getattr(config, ours) != value
    ]
    for key in family.keys:
        words = list(dict.fromkeys(key.words.values()))
        if words and getattr(config, key.ours) not in words:
            rule = f"{family.name} has only {' and '.join(words)}"
            problems.append(Problem(f"model.{key.ours}", getattr(config, key.ours), rule))
    known = {*family.ours, *(key.ours for key in family.keys)}
    for ours in UNUSUAL:
        if ours in known:
            continue
        if (found := getattr(config, ours)) != (usual := getattr(ModelConfig, ours)):
            rule = f"{family.name} has only {_json(usual)}" if usual else f"{family.name} has none"
            problems.append(Problem(f"model.{ours}", found, rule))
    if config.query_width != config.width and "head_width" not in known:
        rule = f"{family.name} has only width / heads = {config.width / (config.heads or 1):g}"
        problems.append(Problem("model.head_width", config.head_width, rule))
    return problems + family.refuse(config)


def _values(family: Family, settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """What a file says of our settings; those that it says wrongly are left out."""
    named = family.architectures.get(named_class(settings) or "", {})
    values: dict[str, Any] = {**family.ours, **named}
    problems: list[Problem] = []
    for ours in dict.fromkeys(key.ours for key in family.keys):
        try:
            values[ours] = _value([key for key in family.keys if key.ours == ours], settings)
        except ConfigError as error:
            problems += error.problems
    return values, problems


def _value(keys: list[Key], settings: Mapping[str, Any]) -> Any:
    """What a file says of one setting of ours, in one key or in several that agree."""
    names = [name for key in keys for name in (key.theirs, key.also) if name]
    found = {name: _at(settings, name) for name in names}
    given = {name: value for name, value in found.items() if value is not ABSENT}
    first, words = keys[0], keys[0].words
    name, value = next(iter(given.items()), (first.theirs, first.default))
    if first.default is REQUIRED and value in (REQUIRED, None):
        raise ConfigError(Problem(first.theirs, None, "is required"))
    others = [other for other, also in given.items() if also != value]
    if others:
        rule = f"differs from {name} = {_json(value)}, but dslm has one setting for both"
        raise ConfigError(Problem(others[0], given[others[0]], rule, "give them one value"))
    if not words:
        return value
    if not isinstance(value, str) or value not in words:
        raise ConfigError(Problem(name, value, f"dslm computes only {' and '.join(words)}"))
    return words[value]


def _fixed(family: Family, settings: Mapping[str, Any]) -> list[Problem]:
    """Settings of which there is only one kind here, and that are of another; packed weights."""
    found = {name: _at(settings, name) for name in family.theirs}
    problems = [
        Problem(name, found[name], f"dslm computes only {_json(value)}")
        for name, value in family.theirs.items()
        if found[name] is not ABSENT and found[name] != value
    ]
    if settings.get("quantization_config") is not None:
        fix = "import the model that was quantized"
        problems.append(Problem("quantization_config", None, "the weights are quantized", fix))
    return problems


def _shape(family: Family, settings: Mapping[str, Any], config: ModelConfig) -> list[Problem]:
    """What fits together in no model, or in another than ours."""
    found = [*check_model(config), *family.refuse(config)]
    problems = [_renamed(family, problem) for problem in found]
    for name, ours in family.widths.items():
        value = _at(settings, name)
        if value not in (ABSENT, None, getattr(config, ours)):
            rule = f"dslm has only {getattr(config, ours)} with the other settings"
            problems.append(Problem(name, value, rule))
    return problems


def _renamed(family: Family, problem: Problem) -> Problem:
    """A problem with a setting of ours, reported as one with theirs."""
    ours = problem.where.removeprefix("model.")
    theirs = next((key.theirs for key in family.keys if key.ours == ours), ours)
    return Problem(theirs, problem.found, problem.rule)


def _written(key: Key, config: ModelConfig) -> Any:
    value = getattr(config, key.written or key.ours)
    return next((theirs for theirs, ours in key.words.items() if ours == value), value)


def _at(settings: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(settings, dict) or part not in settings:
            return ABSENT
        settings = settings[part]
    return settings


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
