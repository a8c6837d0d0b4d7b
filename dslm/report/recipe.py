"""The recipe: commands, configuration, layout, data and versions, all that repeats a run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from dslm.report.record import Record


def commands(record: Record) -> list[tuple[str, str]]:
    """What to type to evaluate the model, read it, carry on, or start over, each by its purpose."""
    run = shlex.quote(record.folder.as_posix())
    held_out = next(iter(_sources(record.fact("data", "validation"))), {}).get("folder", "SHARDS")
    prompt = '--prompt "Once upon" --max-new-tokens 100 --temperature 0.8 --top-k 50 --seed 1'
    typed = [
        ("Evaluate", f"python launch/evaluate.py {run} --data {shlex.quote(held_out)} --json"),
        ("Generate", f"python launch/generate.py {run} {prompt}"),
    ]
    command = record.fact("command")
    if command:
        again = [word for word in command if not word.startswith("run=")]
        again.append(f"run={record.folder.as_posix()}-again")
        typed.append(("Resume from the newest checkpoint", shlex.join(command)))
        typed.append(("Repeat from the start, in a folder of its own", shlex.join(again)))
    return typed


def tables(record: Record) -> dict[str, list[tuple[str, str]]]:
    """The resolved configuration, a table a group; then layout, data and versions."""
    config = record.fact("config") or {}
    groups = {"run": {k: v for k, v in config.items() if not isinstance(v, dict)}}
    groups |= {key: value for key, value in config.items() if isinstance(value, dict)}
    groups |= {"layout": record.fact("plan") or {}, "versions": record.fact("versions") or {}}
    groups |= {"word vectors": record.fact("word_vectors") or {}}
    for split, found in (record.fact("data") or {}).items():
        sources = _sources(found)
        for number, source in enumerate(sources, 1):
            groups[f"{split} data" + (f" {number}" if len(sources) > 1 else "")] = source
    return {title: list(_rows(group)) for title, group in groups.items() if group}


def _rows(group: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and the values as `key=value` on the command line takes them."""
    for key, value in group.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{prefix}{key}.")
        else:
            yield (
                prefix + key,
                value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
            )


def _sources(value: Any) -> list[dict[str, Any]]:
    """The shard sets of a split, of which there may be one, several or none."""
    found = value if isinstance(value, list) else [value]
    return [source for source in found if isinstance(source, dict)]


def deepspeed(record: Record) -> str:
    """DeepSpeed's own settings, as the JSON that it takes; nothing where there are none."""
    settings = record.fact("deepspeed")
    return json.dumps(settings, indent=2) if settings else ""
