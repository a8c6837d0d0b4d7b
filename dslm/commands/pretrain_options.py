"""What is typed as an option and is none: ``--steps 100``, a launcher's ``--num_gpus 2``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from dslm.commands.cli import Parser
from dslm.config.foreign import Answer
from dslm.config.likely import FLAGS, word
from dslm.config.overrides import assignment, read_value
from dslm.errors import Problem, UserError, nearest
from dslm.launchers import RANK
from dslm.run.explained import answered
from dslm.run.presets import PRESETS
from dslm.train.file_kinds import DEEPSPEED, OPTIONS, SETTINGS, START, option_of
from dslm.train.words import DASHES, NEGATIVE, full_key, is_flag, is_key, meant_value, own_keys

FILES = (OPTIONS[DEEPSPEED], OPTIONS[SETTINGS])
"""The options that take a file."""


def without_options(arguments: Sequence[str], parser: Parser) -> tuple[list[str], list[Problem]]:
    """The arguments that there are; those that another trainer would take are answered.

    Args:
        arguments: as they were typed.
        parser: of the command, which knows the options that there are.

    Returns:
        The arguments, with what was meant in place of what is none, and the mistakes.

    Raises:
        UserError: an option is misspelt, so that the files are not known.
    """
    options = parser.options()
    kept: list[str] = []
    problems: list[Problem] = []
    rest = list(arguments)
    misspelt = False
    while rest:
        one = rest.pop(0)
        name, equals, _ = one.partition("=")
        if name in FILES and not equals and not _is_file(rest):
            problems.append(_without_file(name, rest))
        elif name in options:
            has_value = options[name] and not equals and not (rest and _is_option(rest[0]))
            kept += [one, *(rest[:1] if has_value else [])]
            rest = rest[1:] if has_value else rest
        elif one.endswith(".json") and not equals:
            meant, problem = _file(one, _keys(arguments) | {*kept})
            problems.append(problem)
            kept += meant
        elif not _is_option(one):
            kept.append(one)
        elif near := _misspelt(name, options):
            problems.append(Problem(name, None, "unknown argument", f"did you mean {near!r}?"))
            misspelt, rest = True, rest if equals else rest[1:]
        else:
            meant, problem = _answer(one, rest, parser.prog)
            problems.append(problem)
            kept += [other for other in meant if other.partition("=")[0] not in _keys(kept + rest)]
    if misspelt:
        raise UserError(*problems)
    return kept, problems


def without_rank(arguments: Sequence[str]) -> list[str]:
    """The arguments that a person has typed: no launcher's `RANK`, with its number behind or in it.

    Args:
        arguments: of this process.
    """
    before = ["", *arguments]
    return [
        word
        for word, last in zip(arguments, before, strict=False)
        if not word.startswith(RANK) and last not in RANK
    ]


def said_once(problems: Sequence[Problem]) -> list[Problem]:
    """The problems, of an option without its file the first: it is missed again where it is read.

    Args:
        problems: those of the arguments before those of what they mean.
    """
    named = [problem.where for problem in problems]
    return [
        problem
        for i, problem in enumerate(problems)
        if problem.found is not None or problem.where not in FILES or problem.where not in named[:i]
    ]


def _is_option(word: str) -> bool:
    """Whether a word begins like an option, and not like a number below zero."""
    return word[:1] in DASHES and not NEGATIVE.match(word)


def _is_file(rest: Sequence[str]) -> bool:
    """Whether the words begin with what can be a file: no option, setting or preset."""
    if not rest or _is_option(rest[0]) or rest[0] in PRESETS:
        return False
    key, equals, _ = rest[0].partition("=")
    return not (equals and is_key(key))


def _without_file(option: str, rest: Sequence[str]) -> Problem:
    """The mistake of an option without its file, where something else follows or nothing."""
    follows = f", and {rest[0]} is none" if rest else ""
    file = START if option == OPTIONS[DEEPSPEED] else "FILE"
    return Problem(option, None, f"needs a file{follows}", f"write {option} {file}")


def _file(path: str, given: Set[str]) -> tuple[list[str], Problem]:
    """What a file that stands alone is for, and the mistake.

    Args:
        path: the file.
        given: the options that are given.
    """
    of = option_of(path)
    free = [option for option in FILES if option not in given and of in (None, option)]
    if not free:
        return [], Problem(path, None, "is one file too many", "leave it out")
    meant = [free[0], path]
    return meant, Problem(path, None, "is a file without its option", f"write {' '.join(meant)}")


def _keys(arguments: Sequence[str]) -> set[str]:
    """The keys that are given."""
    return {word.partition("=")[0] for word in arguments}


def _misspelt(name: str, options: Iterable[str]) -> str | None:
    """The option that was most likely meant, by a name that is no key."""
    key = name.lstrip(DASHES)
    said = answered(key, None)
    if full_key(key) or full_key(key.replace("-", "_")) or (said and said.key):
        return None
    long = {option.lstrip("-"): option for option in options if option.startswith("--")}
    near = nearest(key, long)
    return long[near] if near else None


def _answer(one: str, rest: list[str], prog: str) -> tuple[list[str], Problem]:
    """What an argument that is no option was meant to be, and the mistake."""
    name, equals, value = one.partition("=")
    key = name.lstrip(DASHES)
    dotted = key.replace("-", "_")
    if not equals and not _stands_alone(dotted, rest):
        value = rest.pop(0)
    text = value or "true"
    said = answered(key, read_value(text))
    if said:
        return _as_meant(said), said.problem(name, value or None)
    full = full_key(key) or full_key(dotted)
    if full and (value or is_flag(full)):
        likely = meant_value(full, text)
        fix = f"write {word(full, likely)}"
        rule = "is a key, not an option"
        return [assignment(full, likely)], Problem(name, value or None, rule, fix)
    if full:
        return [], Problem(name, None, "is a key, not an option", f"write {full}=…")
    if dotted.startswith("no_") and is_flag(dotted.removeprefix("no_")):
        fix = f"write {dotted.removeprefix('no_')}=false"
        return [], Problem(name, None, "is a key, not an option", fix)
    close = nearest(dotted, own_keys())
    fix = f"did you mean {close}={text}?" if close else f"see {prog} --help"
    return [], Problem(name, None, "unknown argument", fix)


def _as_meant(said: Answer) -> list[str]:
    """The arguments that an answer asks for, so that the others are checked with them."""
    if said.value is None or said.key in ("", "preset"):
        return []
    if said.key.startswith("--"):
        return [said.key, str(said.value)]
    return [assignment(said.key, said.value)]


def _stands_alone(key: str, rest: Sequence[str]) -> bool:
    """Whether an option has no value: nothing that could be one follows."""
    if not rest or _is_option(rest[0]) or "=" in rest[0]:
        return True
    is_value = rest[0].lower() in FLAGS or not is_flag(key)
    return (rest[0] in PRESETS and key != "preset") or not is_value
