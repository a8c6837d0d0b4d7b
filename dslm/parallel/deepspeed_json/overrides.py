"""DeepSpeed's JSON changed by words of the command line: ``ds.optimizer.params.lr=3e-4``.

    belongs      which words are for the JSON: ``ds.…``, ``lr``, ``batch`` and DeepSpeed's keys
    Overrides    what they change, a merge patch (RFC 7396) of the file: null removes a key

What is checked afterwards is the file as it has become; a mistake in what was typed is reported
under the key that was typed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from dslm.config.likely import word
from dslm.config.overrides import parse_words
from dslm.errors import ConfigError, Problem, suggest
from dslm.parallel.deepspeed_json.check import MISPLACED, kind_of, paths
from dslm.parallel.deepspeed_json.draft import Draft
from dslm.parallel.deepspeed_json.refused import REFUSED
from dslm.parallel.deepspeed_json.rules import BATCH
from dslm.parallel.deepspeed_json.schema import KNOWN, given
from dslm.parallel.deepspeed_json.value import accepts, guess

PREFIX = "ds."
"""What a word begins with that changes the JSON, whatever else its key may mean."""
SHORT = {"lr": "optimizer.params.lr", "batch": "train_batch_size"}
"""Short words for what is changed most."""
WRITE = re.compile(r'write (?:"\w+": )?(.+)')
"""A fix that says what to write into the file."""
BLOCKS = {*KNOWN, *(path.partition(".")[0] for path in REFUSED)}
"""The keys at the top of the JSON: those that it has, and those that are refused with a reason."""


def belongs(key: str, own: Iterable[str]) -> bool:
    """Whether a key of the command line is one of DeepSpeed's JSON.

    Args:
        key: what stands before ``=``.
        own: the first names of dslm's own keys, which go first.
    """
    if key.startswith(PREFIX) or key in SHORT:
        return True
    first, dot, _ = key.partition(".")
    if first in own:
        return False
    near = get_close_matches(first, [*own, *BLOCKS], n=1, cutoff=0.6 if dot else 0.8)
    return first in BLOCKS or bool(near and near[0] in BLOCKS)


def full_path(key: str) -> str:
    """The path in the JSON that a key of the command line stands for."""
    return SHORT.get(key, key.removeprefix(PREFIX))


def homes(name: str) -> list[str]:
    """The paths of the keys of this name in blocks of the JSON, parameters of optimizers too."""
    return [path for path in paths() if "." in path and path.rpartition(".")[2] == name]


def home(key: str) -> str:
    """The word for the key of the JSON that one in the wrong place means, or nothing.

    Args:
        key: as it was typed; a key of the JSON where it belongs has no other home.
    """
    path = full_path(key)
    block, _, name = path.rpartition(".")
    if path in REFUSED or path in paths():
        return ""
    if name in SHORT:
        return name
    there = homes(name) if block.partition(".")[0] in ("", *KNOWN) else []
    return f"{PREFIX}{there[0]}" if len(there) == 1 else ""


def likely_value(key: str, value: Any) -> Any:
    """The value that was most likely meant for a key of the JSON; as it is where it fits.

    Args:
        key: as it is typed.
        value: what was typed for it.
    """
    path = full_path(key)
    kind = kind_of(path) if path in paths() else None
    if kind is None or accepts(kind, value):
        return value
    meant = guess(kind, value)
    return value if meant is None else meant


@dataclass(frozen=True)
class Overrides:
    """What the command line changes in DeepSpeed's JSON."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """Nested like the JSON."""
    typed: Mapping[str, str] = field(default_factory=dict)
    """Each path that is changed, and the key that was typed for it."""

    @classmethod
    def read(cls, words: Iterable[str]) -> Overrides:
        """Read ``key=value`` words whose keys `belongs` to the JSON.

        Raises:
            ConfigError: a path is given twice.
        """
        pairs = [word.partition("=") for word in words]
        made = cls(typed={full_path(key): key for key, _, _ in pairs})
        try:
            values = parse_words(f"{full_path(key)}={text}" for key, _, text in pairs)
        except ConfigError as error:
            raise ConfigError(*map(made.named, error.problems)) from None
        return replace(made, values=values)

    def applied(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON with these changes.

        A batch size that was typed outweighs those of the file: of these, only as many stay as make
        two with it, first the batch of a step, then the micro-batch; the last one follows. One that
        is null takes out itself and no other.

        Args:
            config: as read from the file.
        """
        typed = [name for name in BATCH if self.values.get(name) is not None]
        others = [name for name in BATCH if config.get(name, "auto") != "auto"]
        others = [name for name in others if name not in self.values]
        stay = others[: max(0, 2 - len(typed))]
        gone = set(BATCH) - set(stay) if typed else set()
        kept = {key: value for key, value in config.items() if key not in gone}
        return _patched(kept, self.values)

    def named(self, problem: Problem) -> Problem:
        """A problem of the JSON under the key that was typed, if it was."""
        where, below = problem.where, Draft(self.values).paths()
        for path, key in self.typed.items():
            if where == path or (where.startswith(f"{path}.") and where in below):
                named = key + where.removeprefix(path)
                return replace(
                    problem, where=named, fix=_moved(problem) or _typed(named, problem.fix)
                )
            if where in REFUSED and path.startswith(f"{where}."):  # its block
                return replace(problem, where=key, fix=_left_out(problem.fix))
        if self.typed and problem.fix == "delete it":  # it no longer fits what was typed
            return replace(problem, fix=f"delete it, or write {PREFIX}{where}=null")
        return problem

    def problems(self, file: Mapping[str, Any], config: Mapping[str, Any]) -> list[Problem]:
        """Changes that would have no effect.

        Args:
            file: the JSON as it was read.
            config: the JSON as it has become.
        """
        known = {*paths(), *REFUSED, *Draft(file).paths()}
        gone = [path for path in _removed(self.values, "") if path not in known]
        rule = "removes nothing: there is no such key"
        return [
            *(Problem(path, None, rule, suggest(path, known, "leave it out")) for path in gone),
            *self._unread(config),
        ]

    def _unread(self, config: Mapping[str, Any]) -> list[Problem]:
        """A learning rate that the optimizer does not read."""
        parameters = given(config, "optimizer.params", {}) or {}
        split = [name for name in ("muon_lr", "adam_lr") if name in parameters]
        if SHORT["lr"] not in self.typed or not split:
            return []
        where = self.typed[SHORT["lr"]]
        rule = f"is not read: the JSON gives {' and '.join(split)}"
        fix = f"write {' '.join(f'{PREFIX}optimizer.params.{name}=…' for name in split)}"
        return [Problem(where, parameters.get("lr"), rule, fix)]


def _moved(problem: Problem) -> str:
    """The word to type for a key that was typed in the wrong block; nothing for other mistakes."""
    there = home(problem.where) if problem.rule == MISPLACED else ""
    return f"write {word(there, problem.found)}" if there and problem.found is not None else ""


def _typed(key: str, fix: str) -> str:
    """A fix of the file as one of the word that was typed."""
    fix = _left_out(fix)
    written = WRITE.fullmatch(fix)
    try:
        value = json.loads(written[1]) if written else None
    except json.JSONDecodeError:
        return fix
    if isinstance(value, dict) and len(value) == 1:
        ((name, value),) = value.items()
        key = f"{key}.{name}"
    return fix if value is None else f"write {word(key, value)}"


def _left_out(fix: str) -> str:
    """A fix of the file, where what it deletes is a word that was typed."""
    return fix.replace("delete it", "leave it out", 1)


def _removed(values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """The paths that are null."""
    for name, value in values.items():
        if value is None:
            yield prefix + name
        elif isinstance(value, Mapping):
            yield from _removed(value, f"{prefix}{name}.")


def _patched(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch: blocks are joined, null removes a key, anything else replaces it."""
    made = dict(base)
    for key, value in over.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, Mapping):
            old = made.get(key)
            made[key] = _patched(old if isinstance(old, Mapping) else {}, value)
        else:
            made[key] = value
    return made
