"""The recipe: commands, configuration, layout, data and versions, all that repeats a run."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from dslm.config.overrides import merge
from dslm.config.parse import parse
from dslm.errors import ConfigError
from dslm.progress import duration
from dslm.report.record import Record
from dslm.run.config import RunConfig
from dslm.run.folder import flat
from dslm.run.presets import PRESETS
from dslm.run.settings import decided


def commands(record: Record) -> list[tuple[str, str]]:
    """What to type to evaluate the model, read it, carry on, or start over, each by its purpose."""
    run = shlex.quote(record.folder.as_posix())
    held_out = record.fact(str, "data", "validation", "folder") or "SHARDS"
    prompt = '--prompt "Once upon" --max-new-tokens 100 --temperature 0.8 --top-k 50 --seed 1'
    typed = [
        ("Evaluate", f"python launch/evaluate.py {run} --data {shlex.quote(held_out)} --json"),
        ("Generate", f"python launch/generate.py {run} {prompt}"),
    ]
    command = record.fact(list, "command")
    if command and all(isinstance(word, str) for word in command):
        again = [word for word in command if not word.startswith("run=")]
        again.append(f"run={record.folder.as_posix()}-again")
        typed.append(("Resume from the newest checkpoint", shlex.join(command)))
        typed.append(("Repeat from the start, in a folder of its own", shlex.join(again)))
    return typed


def machine(record: Record) -> list[tuple[str, str]]:
    """When, where and by which code the run was made, as far as it is known."""
    hosts = record.fact(list, "machine", "hosts") or []
    began, stopped = record.fact(str, "started"), record.fact(str, "stopped")
    took = seconds_between(began, stopped)
    changes = " with local changes" if record.fact(bool, "code", "dirty") else ""
    found = {
        "started": date(began),
        "ended": date(stopped),
        "from start to end": duration(took) if took is not None else "",
        "hosts" if len(hosts) > 1 else "host": ", ".join(map(str, hosts)),
        "device": device(record),
        "commit of dslm": (record.fact(str, "code", "commit") or "") + changes,
        **(record.fact(dict, "versions") or {}),
    }
    return [(name, value) for name, value in found.items() if value]


def device(record: Record) -> str:
    """What the run was made on; empty where it is not known."""
    named = record.fact(str, "machine", "device")
    return named or record.fact(str, "plan", "device") or ""


def date(time: object) -> str:
    """A time in the form of ISO 8601 for people; empty if it is none."""
    try:
        return f"{datetime.fromisoformat(str(time)).astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return ""


def seconds_between(first: object, last: object) -> float | None:
    """From one time in the form of ISO 8601 to another; `None` if one of them is none."""
    try:
        began, ended = (datetime.fromisoformat(str(time)) for time in (first, last))
        return (ended.astimezone(timezone.utc) - began.astimezone(timezone.utc)).total_seconds()
    except ValueError:
        return None


def changed(record: Record) -> list[tuple[str, str, str]]:
    """The settings that are not those of the preset, and what the preset has in their place."""
    preset = _preset(record.fact(str, "config", "preset"))
    if not preset:
        return []
    there = flat(record.fact(dict, "config") or {})
    return [
        (key, value_text(value), value_text(preset[key]) if key in preset else "")
        for key, value in there.items()
        if key != "preset" and preset.get(key) != value
    ]


def _preset(name: object) -> dict[str, Any]:
    """The settings of a preset with all defaults; empty where a run's model came from elsewhere."""
    if not isinstance(name, str) or name not in PRESETS:
        return {}
    own = merge(PRESETS[name](), {"preset": name, "run": "", "data": {"train": ""}})
    try:
        known = flat(asdict(parse(RunConfig, merge(own, {"model": decided(own)}))))
    except ConfigError:
        return {}
    given_by_user = ("run", "data.train", "data.validation", "model.vocabulary")
    return {key: value for key, value in known.items() if key not in given_by_user}


def tables(record: Record) -> dict[str, list[tuple[str, str]]]:
    """The resolved configuration, a table a group; then layout and data."""
    config = record.fact(dict, "config") or {}
    groups = {"run": {k: v for k, v in config.items() if not isinstance(v, dict)}}
    groups |= {key: value for key, value in config.items() if isinstance(value, dict)}
    groups |= {"layout": record.fact(dict, "plan") or {}}
    groups |= {"word vectors": record.fact(dict, "word_vectors") or {}}
    for split, found in (record.fact(dict, "data") or {}).items():
        sources = _sources(found)
        for number, source in enumerate(sources, 1):
            groups[f"{split} data" + (f" {number}" if len(sources) > 1 else "")] = source
    return {
        title: [(key, value_text(value)) for key, value in flat(group).items()]
        for title, group in groups.items()
        if group
    }


def value_text(value: Any) -> str:
    """A setting for people: text as it is, whole numbers in groups of three, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return json.dumps(value, ensure_ascii=False)


def _sources(value: Any) -> list[dict[str, Any]]:
    """The shard sets of a split, of which there may be one, several or none."""
    found = value if isinstance(value, list) else [value]
    return [source for source in found if isinstance(source, dict)]


def deepspeed(record: Record) -> str:
    """DeepSpeed's own settings, as the JSON that it takes; nothing where there are none."""
    settings = record.fact(dict, "deepspeed")
    return json.dumps(settings, indent=2) if settings else ""
