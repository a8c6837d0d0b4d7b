"""Answers to words of other trainers: what to type here instead, the value included.

A word is looked up without regard to its case, to ``-`` and ``_`` and to the blocks before it, so
that ``--n-layer``, ``N_LAYER`` and ``model.n_layer`` are one. The answer is a mistake with its fix,
never a silent alias: two trainers seldom mean quite the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dslm.config.foreign_sentences import OPTIONS, SENTENCES
from dslm.config.foreign_words import FLAGS, SAME_MEANING, VALUES
from dslm.config.help import Key
from dslm.config.likely import text, word
from dslm.errors import Problem

KEYS = {name: key for key, names in SAME_MEANING.items() for name in names.split()}
"""The key of each foreign word."""
ANSWERS = {name: answer for names, answer in SENTENCES.items() for name in names.split()}
"""The answer to each word without a key."""
_OPTIONS = {name: option for option, names in OPTIONS.items() for name in names.split()}
_VALUES = {
    key: {name: value for value, names in table.items() for name in names.split()}
    for key, table in VALUES.items()
}


@dataclass(frozen=True)
class Answer:
    """What a foreign word meets."""

    rule: str
    fix: str
    key: str = ""
    """Our key or option, where there is one of the same meaning…"""
    value: Any = None
    """… and what it would be set to; `None` where that cannot be said."""

    def problem(self, where: str, found: Any) -> Problem:
        """The mistake of having typed the word."""
        return Problem(where, found, self.rule, self.fix)


def is_foreign(key: str) -> bool:
    """Whether a key is a word of another trainer, as it stands."""
    name = plain(key)
    return any(name in table for table in (KEYS, ANSWERS, FLAGS, _OPTIONS))


def answer(key: str, value: Any, known: Mapping[str, Key]) -> Answer | None:
    """What to say to a word of another trainer; `None` where it is not known.

    Args:
        key: as it was typed, with blocks or dashes before it or not.
        value: what was given for it; a block of keys is no word.
        known: every key of the settings.
    """
    if isinstance(value, Mapping):
        return None
    for name in dict.fromkeys((plain(key), plain(key).rpartition(".")[2])):
        if name in FLAGS:
            return _flag(name, value)
        if name in _OPTIONS:
            option = _OPTIONS[name]
            return Answer("is an option here", f"write {option} {text(value)}", option, value)
        if name in ANSWERS:
            rule, fix = ANSWERS[name]
            return Answer(rule, fix.format(value=text(value)))
        if name in KEYS:
            return same_meaning(KEYS[name], value, known)
    return None


def same_meaning(target: str, value: Any, known: Mapping[str, Key]) -> Answer:
    """The answer to a word that means what a key of ours means.

    Args:
        target: our key.
        value: what was given.
        known: every key of the settings.
    """
    rule, ours = f"is {target} here", our_value(target, value)
    key = known.get(target)
    if key is not None and not fits(ours, key):
        choice = f" ({' or '.join(map(str, key.options))})" if key.options else f", {key.type}"
        return Answer(rule, f"write {target}=…{choice}", target)
    return Answer(rule, f"write {word(target, ours)}", target, ours)


def our_value(key: str, value: Any) -> Any:
    """The value of a key that another trainer's value stands for."""
    return _VALUES.get(key, {}).get(plain(str(value)).removeprefix("torch."), value)


def plain(key: str) -> str:
    """A word without case and dashes."""
    return key.lstrip("-+").lower().replace("-", "_")


def _flag(name: str, value: Any) -> Answer:
    mended = FLAGS[name]
    if value is False or str(value).lower() in ("false", "0", "no"):
        return Answer("is off unless something says otherwise", "leave it out")
    key, _, ours = mended.partition("=")
    return Answer(f"is {key} here", f"write {mended}", key, True if ours == "true" else ours)


def fits(value: Any, key: Key) -> bool:
    """Whether a value is of the type that a key has."""
    if key.options and (isinstance(value, str) or value in key.options):
        return value in key.options
    if isinstance(value, bool):
        return "true or false" in key.type
    if isinstance(value, int | float):
        return "a number" in key.type or ("number" in key.type and isinstance(value, int))
    return "text" in key.type
