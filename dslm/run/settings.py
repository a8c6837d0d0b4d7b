"""The settings of a run: layers of plain dictionaries, each laid over those before it, then parsed.

the preset → init_from → what the objective decides → --config FILE → the command line
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import reduce
from pathlib import Path
from typing import Any

from dslm.config.overrides import merge, parse_words
from dslm.config.parse import ParseError, parse
from dslm.config.renamed import with_current_names
from dslm.errors import ConfigError, Problem, Problems
from dslm.files.whole import read_json
from dslm.run.config import RENAMED, RunConfig
from dslm.run.explained import explained, names_preset, nested, without
from dslm.run.init_from import open_source_run
from dslm.run.paths import with_paths
from dslm.run.preset_names import nearest_preset
from dslm.run.preset_shapes import Settings
from dslm.run.presets import PRESETS, fine_tune, tiny
from dslm.tasks.registry import ObjectiveConfig

Layers = dict[str, Settings]
"""Settings by where they come from, the weakest first."""

COMMAND_LINE = "the command line"


class SettingsError(ConfigError):
    """Settings with mistakes.

    Args:
        problems: the mistakes.
        mended: the settings as they were most likely meant, so that what else is wrong with them
            is found as well; `None` where this cannot be said.
    """

    def __init__(self, *problems: Problem, mended: RunConfig | None = None) -> None:
        super().__init__(*problems)
        self.mended = mended


def settings(words: Sequence[str], config_file: str | None) -> RunConfig:
    """The settings of a run.

    Args:
        words: a preset's name, if any, and ``key=value`` words.
        config_file: a JSON file of settings, or a ``run.json``.

    Raises:
        SettingsError: with every problem found.
    """
    found = Problems()
    given = found.collect(_given, words)
    file = found.collect(_file, config_file)
    if given is None or file is None:
        raise SettingsError(*found.problems)
    typed = {f"--config {config_file}": file, COMMAND_LINE: given}
    user = {name: _with_paths(values, found) for name, values in typed.items()}
    spoilt, others = {problem.where for problem in found.problems}, Problems()
    layers = _layers(user, others)
    is_known = not (spoilt or others.problems)  # what the layers below the user's say
    config: RunConfig | None = None
    try:
        config = parse(RunConfig, folded(layers))
    except ParseError as error:
        problems, meant = explained(error, folded(layers))
        others.problems += [_located(problem, layers) for problem in problems]
        config = None if meant is None else _as_meant(user, meant)
    found.problems += [problem for problem in others.problems if problem.where not in spoilt]
    if found.problems or config is None:
        raise SettingsError(*found.problems, mended=config if is_known else None)
    return config


def _with_paths(values: Settings, found: Problems) -> Settings:
    """Settings with their paths as they are meant, less those that mean nothing."""
    known = len(found.problems)
    made = found.collect(with_paths, values)
    if made is not None:
        return made
    return with_paths(without(values, [problem.where for problem in found.problems[known:]]))


def _layers(user: Layers, found: Problems) -> Layers:
    """What the user gives, above all that decides what is not given."""
    asked = Problems() if names_preset(folded(user)) else found
    preset = asked.collect(_preset, folded(user))
    if preset is None:  # the other keys are checked all the same
        preset = tiny()
        user = {**user, COMMAND_LINE: {**user[COMMAND_LINE], "preset": tiny.__name__}}
    source = found.collect(_source, folded(user), preset)
    source = {"model": tiny()["model"]} if source is None else source
    base = {"the preset": preset, "init_from": source}
    if _kind(user) not in (None, _kind(base)):
        base = {name: _without_objective(values) for name, values in base.items()}
    decides = {"model": decided(folded({**base, **user}))}
    return {**base, "the objective": decides, **user}


def _as_meant(user: Layers, meant: Mapping[str, Any]) -> RunConfig | None:
    """The settings with mistaken keys as they were most likely meant, if they are right then."""
    kept = {name: without(values, meant) for name, values in user.items()}
    kept[COMMAND_LINE] = merge(kept[COMMAND_LINE], nested(meant))
    try:
        return parse(RunConfig, folded(_layers(kept, Problems())))
    except ConfigError:
        return None


def mended_settings(
    words: Sequence[str], config_file: str | None, found: Problems
) -> RunConfig | None:
    """As `settings`, but what is wrong is collected, and what can be mended is.

    Args:
        words: a preset's name, if any, and ``key=value`` words.
        config_file: a JSON file of settings, or a ``run.json``.
        found: collects what is wrong.

    Returns:
        The settings as they were most likely meant; `None` where that cannot be said.
    """
    try:
        return settings(words, config_file)
    except SettingsError as error:
        found.problems += error.problems
        return error.mended


def folded(layers: Layers) -> Settings:
    """All layers in one, a later one laid over the earlier ones."""
    return reduce(merge, layers.values(), {})


def decided(values: Settings) -> Settings:
    """What the objective decides of the model; nothing as long as its own settings are wrong."""
    given = values.get("objective", {})
    if not isinstance(given, dict):
        return {}
    try:
        objective = parse(ObjectiveConfig, given)
    except ConfigError:
        return {}
    return objective.selected.model(objective.settings)


def _given(words: Sequence[str]) -> Settings:
    """The words of the command line; the first without ``=`` names the preset."""
    bare = [word for word in words if "=" not in word][:1]
    named = [f"preset={word}" if word in bare else word for word in words]
    return with_current_names(parse_words(named), RENAMED)


def _file(path: str | None) -> Settings:
    """A file of settings, or those within a ``run.json``."""
    file = {} if path is None else read_json(Path(path).expanduser())
    values = file["config"] if isinstance(file.get("config"), dict) else file
    return with_current_names(values, RENAMED)


def _preset(values: Settings) -> Settings:
    name, choice = values.get("preset"), ", ".join(PRESETS)
    if name is None:
        raise ConfigError(Problem("preset", None, "is required", f"choose from {choice}"))
    if str(name) not in PRESETS:
        near = nearest_preset(name)
        fix = f"did you mean {near!r}?" if near else f"choose from {choice}"
        raise ConfigError(Problem("preset", name, "there is no such preset", fix))
    return PRESETS[str(name)]()


def _source(values: Settings, preset: Settings) -> Settings:
    """What the run to begin with, if any, decides; its objective only where no preset names one."""
    run = values.get("init_from")
    if run is None and values["preset"] == fine_tune.__name__:
        rule = "is required by this preset"
        fix = "add init_from=RUN, an imported or earlier run"
        raise ConfigError(Problem("init_from", None, rule, fix))
    if not isinstance(run, str):
        return {}
    source = open_source_run(run)
    objective = {} if "objective" in preset else {"objective": asdict(source.objective)}
    return {"model": source.shape, **objective}


def _kind(layers: Layers) -> Any:
    objective = folded(layers).get("objective")
    return objective.get("kind") if isinstance(objective, dict) else None


def _without_objective(values: Settings) -> Settings:
    return {key: value for key, value in values.items() if key != "objective"}


def _located(problem: Problem, layers: Layers) -> Problem:
    keys = problem.where.split(".")
    origin = [name for name, values in layers.items() if _holds(values, keys)]
    if not origin or origin[-1] == COMMAND_LINE:
        return problem
    last = "fix" if problem.fix else "rule"
    return replace(problem, **{last: f"{getattr(problem, last)} (from {origin[-1]})"})


def _holds(values: Any, keys: Sequence[str]) -> bool:
    """Whether a layer sets a key."""
    if not keys:
        return True
    return isinstance(values, dict) and keys[0] in values and _holds(values[keys[0]], keys[1:])
