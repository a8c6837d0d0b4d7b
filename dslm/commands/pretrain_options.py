"""What is typed as an option and is none: ``--steps 100``, a launcher's ``--num_gpus 2``."""

from __future__ import annotations

from collections.abc import Sequence

from dslm.config.foreign import Answer
from dslm.config.likely import FLAGS
from dslm.config.overrides import assignment, read_value
from dslm.errors import Problem, UserError, nearest
from dslm.run.explained import answered
from dslm.run.presets import PRESETS
from dslm.train.words import DASHES, full_key, is_flag, is_key, own_keys


def without_options(
    arguments: Sequence[str], options: Sequence[str]
) -> tuple[list[str], list[Problem]]:
    """The arguments that there are; those that another trainer would take are answered.

    Args:
        arguments: as they were typed.
        options: the options that there are, each of which takes a value.

    Returns:
        The arguments, with what was meant in place of what is none, and the mistakes.

    Raises:
        UserError: an option is misspelt, so that the files are not known.
    """
    kept: list[str] = []
    problems: list[Problem] = []
    rest = list(arguments)
    misspelt = False
    while rest:
        one = rest.pop(0)
        name, equals, _ = one.partition("=")
        if name in options and not equals and (not rest or rest[0].startswith("-")):
            problems.append(Problem(name, None, "needs a file", f"write {name} FILE"))
        elif name in options:
            kept += [one, *([] if equals else rest[:1])]
            rest = rest if equals else rest[1:]
        elif one.endswith(".json") and not equals:
            option = next((o for o in options if o not in kept), options[0])
            fix = f"write {option} {one}"
            problems.append(Problem(one, None, "is a file without its option", fix))
            kept += [option, one]
        elif one[:1] not in DASHES or one.lstrip(DASHES)[:1].isdigit():
            kept.append(one)
        elif near := _misspelt(name, options):
            problems.append(Problem(name, None, "unknown argument", f"did you mean {near!r}?"))
            misspelt, rest = True, rest if equals else rest[1:]
        else:
            meant, problem = _answer(one, rest)
            problems.append(problem)
            kept += [word for word in meant if word.partition("=")[0] not in _keys(kept + rest)]
    if misspelt:
        raise UserError(*problems)
    return kept, problems


def _keys(arguments: Sequence[str]) -> set[str]:
    """The keys that are given."""
    return {word.partition("=")[0] for word in arguments}


def _misspelt(name: str, options: Sequence[str]) -> str | None:
    """The option that was most likely meant, by a name that is no key."""
    key = name.lstrip(DASHES)
    return None if is_key(key) or is_key(key.replace("-", "_")) else nearest(name, options)


def _answer(one: str, rest: list[str]) -> tuple[list[str], Problem]:
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
        meant = f"{full}={text}"
        return [meant], Problem(name, value or None, "is a key, not an option", f"write {meant}")
    if full:
        return [], Problem(name, None, "is a key, not an option", f"write {full}=…")
    if dotted.startswith("no_") and is_flag(dotted.removeprefix("no_")):
        fix = f"write {dotted.removeprefix('no_')}=false"
        return [], Problem(name, None, "is a key, not an option", fix)
    close = nearest(dotted, own_keys())
    fix = f"did you mean {close}={text}?" if close else "see pretrain.py --help"
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
    if not rest or rest[0].startswith("-") or "=" in rest[0]:
        return True
    is_value = rest[0].lower() in FLAGS or not is_flag(key)
    return (rest[0] in PRESETS and key != "preset") or not is_value
