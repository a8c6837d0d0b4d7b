"""The words of the command line, sorted: settings of dslm, and changes of DeepSpeed's JSON.

assigned       every word as ``key=value``; what was typed in another form is reported
sorted_words   which of them are settings, and which change the JSON
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cache
from pathlib import Path
from typing import Any

from dslm.config.foreign import Answer, fits, is_foreign, same_meaning
from dslm.config.help import keys, names
from dslm.config.likely import likely, word
from dslm.config.overrides import assignment, read_value
from dslm.errors import Problem, Problems
from dslm.parallel.deepspeed_json.overrides import (
    PREFIX,
    Overrides,
    belongs,
    home,
    homes,
    likely_value,
)
from dslm.run.config import RENAMED, RunConfig
from dslm.run.explained import answered
from dslm.run.presets import PRESETS

DASHES = "-+–—"
"""What other programs write before a key, or what an editor makes of it."""
NEGATIVE = re.compile(r"[-–—+]\.?\d")
"""How a number begins that has a sign."""


def sorted_words(words: Sequence[str], found: Problems) -> tuple[list[str], Overrides]:
    """The words that are settings, and the changes of DeepSpeed's JSON.

    Args:
        words: a preset's name, if any, and ``key=value`` words.
        found: collects what is wrong with them.
    """
    settings, changes = [], []
    every = list(assigned(words, found))
    given = {one.partition("=")[0] if "=" in one else "preset" for one in every}
    for one in every:
        key, equals, text = one.partition("=")
        value = read_value(text)
        if not equals:
            settings.append(one)
        elif is_foreign(key) and not isinstance(value, Mapping):
            in_block = any(other.startswith(f"{key}.") for other in given)
            said = answered(key, value) if in_block else None
            settings += _replaced(said, key, value, given, found) if said else [one]
        elif where := "" if is_own(key) else home(key):
            said = same_meaning(where, likely_value(where, value), {})
            changes += _replaced(said, key, value, given, found)
        elif is_deepspeed(key):
            changes.append(one)
        else:
            settings.append(one)
    return settings, found.collect(Overrides.read, changes) or Overrides()


def _replaced(said: Answer, key: str, value: Any, given: Set[str], found: Problems) -> list[str]:
    """The word to type in place of another, which is a mistake.

    Args:
        said: the answer to that other.
        key: as it was typed.
        value: what was given for it.
        given: every key that was typed.
        found: collects the mistake.
    """
    if said.key in given:
        rule = f"{said.rule}, which is given too"
        found.problems.append(Problem(key, value, rule, "keep one of the two"))
        return []
    found.problems.append(said.problem(key, value))
    return [] if said.value is None else [assignment(said.key, said.value)]


@cache
def own_keys() -> frozenset[str]:
    """Every key of the settings, those of earlier versions included."""
    return frozenset((*names(RunConfig), *RENAMED))


def is_own(name: str) -> bool:
    """Whether a word is the last name of a key of the settings."""
    return any(key == name or key.endswith(f".{name}") for key in own_keys())


def is_deepspeed(name: str) -> bool:
    """Whether a word is a key of DeepSpeed's JSON."""
    return not is_own(name) and belongs(name, {key.partition(".")[0] for key in own_keys()})


def is_key(name: str) -> bool:
    """Whether a word is a key that can be set, here or in another trainer."""
    return full_key(name) is not None or is_own(name) or is_foreign(name)


def full_key(name: str) -> str | None:
    """The key that a word is, or whose last name it is; `None` if there is not just one."""
    if name in own_keys() or is_deepspeed(name):
        return name
    own = [key for key in own_keys() if key.endswith(f".{name}")]
    there = own or [f"{PREFIX}{path}" for path in homes(name)]
    return there[0] if len(there) == 1 else None


def assigned(words: Sequence[str], found: Problems) -> Iterator[str]:
    """The words as ``key=value``, and a preset's name.

    Args:
        words: as they were typed.
        found: collects what was typed in another form, which goes on as it was meant.
    """
    rest = list(words)
    presets = [one for one in rest if one in PRESETS]
    unexplained = 0
    while rest:
        one = rest.pop(0)
        meant, why = _meant(one, rest)
        if why:
            found.problems.append(Problem(one, None, why, f"write {meant}"))
        elif one in PRESETS and one != presets[0]:
            fix = f"keep one of {' and '.join(dict.fromkeys(presets))}"
            found.problems.append(Problem(one, None, "is a second preset", fix))
            continue
        elif "=" not in one and one not in PRESETS and (presets or unexplained):
            found.problems.append(Problem(one, None, "is not key=value", _fix(one)))
            continue
        unexplained += "=" not in meant and one not in PRESETS
        yield meant


def _meant(one: str, rest: list[str]) -> tuple[str, str]:
    """What a word most likely means, and what is wrong with it, if anything is.

    Args:
        one: the word.
        rest: those behind it, from which is taken what belongs to it.
    """
    name, equals, value = one.partition("=")
    bare = name.lstrip(DASHES)
    if equals and value:
        why = "" if bare == name else "is key=value with something before it"
        return f"{bare}={value}", why
    following = rest[0] if rest else ""
    if not equals and following.startswith("="):
        taken = rest.pop(0).lstrip("=") or (rest.pop(0) if rest else "")
        return f"{name}={taken}", "is apart from its value"
    value_follows = bool(following) and "=" not in following
    value_follows = value_follows and (following not in PRESETS or bare == "preset")
    value_follows = value_follows and (following[:1] != "-" or bool(NEGATIVE.match(following)))
    if is_key(bare) and value_follows:
        return f"{bare}={rest.pop(0)}", "is apart from its value"
    key, colon, text = one.partition(":")
    if not equals and colon and text and is_key(key):
        return f"{key}={text}", "has a colon in place of ="
    if not equals and bare == name and (meant := _path(one)):
        return meant, "is a path without its key"
    return one, ""


def _path(one: str) -> str:
    """What a path that stands alone is for."""
    path = Path(one).expanduser()
    for file, key in (("manifest.json", "data.train"), ("run.json", "run")):
        if "/" in one and (path / file).is_file():
            return word(key, one)
    return ""


def _fix(one: str) -> str:
    if not is_key(one):
        return "leave it out, or write the key that has it"
    return f"write {one}={'true' if is_flag(one) else 'value'}"


def meant_value(key: str, text: str) -> Any:
    """The value that was most likely meant for a key; what was typed where nothing is likely.

    Args:
        key: a full key, of the settings or of DeepSpeed's JSON.
        text: what was typed for it.
    """
    value, known = read_value(text), keys(RunConfig).get(key)
    if known is None:
        return likely_value(key, value)
    meant = None if fits(value, known) else likely(value, known.type)
    return value if meant is None else meant


def is_flag(name: str) -> bool:
    """Whether a key is true or false, or can be."""
    key = keys(RunConfig).get(name)
    return key is not None and key.type.endswith("true or false")
