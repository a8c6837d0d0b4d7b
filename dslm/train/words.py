"""The words of the command line, sorted: settings of dslm, and changes of DeepSpeed's JSON."""

from __future__ import annotations

from collections.abc import Sequence

from dslm.config.foreign import is_foreign
from dslm.config.help import keys
from dslm.config.likely import word
from dslm.config.overrides import read_value
from dslm.errors import Problem, Problems
from dslm.parallel.deepspeed_json.overrides import PREFIX, Overrides, belongs, homes
from dslm.run.config import RENAMED, RunConfig


def sorted_words(words: Sequence[str], found: Problems) -> tuple[list[str], Overrides]:
    """The words that are settings, and the changes of DeepSpeed's JSON.

    Args:
        words: a preset's name, if any, and ``key=value`` words.
        found: collects what is wrong with the changes.
    """
    known = keys(RunConfig)
    names = {key.rpartition(".")[2] for key in (*known, *RENAMED)}
    own = {key.partition(".")[0] for key in (*known, *RENAMED)}
    settings, changes = [], []
    for one in words:
        key, equals, text = one.partition("=")
        if not equals or is_foreign(key):
            settings.append(one)
        elif belongs(key, own):
            changes.append(one)
        elif key not in names and len(there := homes(key)) == 1:
            where = f"{PREFIX}{there[0]}"
            fix = f"write {word(where, read_value(text))}"
            found.problems.append(Problem(key, read_value(text), f"is {where} here", fix))
            changes.append(f"{where}={text}")
        else:
            settings.append(one)
    return settings, found.collect(Overrides.read, changes) or Overrides()
