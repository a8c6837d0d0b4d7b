"""Files of settings that are given to the wrong option, or that are another program's.

A file is known by its keys at the top, so that it is said once what it is, and not key by key what
is wrong with each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dslm.config.foreign import KEYS, plain
from dslm.config.likely import word
from dslm.errors import ConfigError, Problem, Problems
from dslm.files.whole import read_json
from dslm.parallel.deepspeed_json.overrides import BLOCKS
from dslm.run.config import RENAMED, RunConfig
from dslm.run.explained import answered
from dslm.run.settings import mended_settings

DEEPSPEED, SETTINGS = "DeepSpeed's JSON", "settings of dslm"
ACCELERATE = "a configuration of accelerate"
HUB_MODEL, TRAINING = "the config.json of a model", "the arguments of another trainer"
SHARDS, TOKENIZER = "the manifest of a shard set", "a tokenizer"

_SETTINGS = frozenset(RunConfig.__dataclass_fields__) | set(RENAMED)


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


MARKS: dict[str, frozenset[str]] = {
    DEEPSPEED: frozenset(BLOCKS - _SETTINGS),
    SETTINGS: _SETTINGS | _names("config format versions plan"),
    HUB_MODEL: _names(
        "model_type architectures transformers_version bos_token_id eos_token_id pad_token_id "
        "vocab_size initializer_range torch_dtype use_cache n_embd n_layer n_head n_positions "
        "hidden_size num_hidden_layers num_attention_heads intermediate_size"
    ),
    ACCELERATE: _names(
        "compute_environment distributed_type machine_rank main_training_function num_machines "
        "num_processes deepspeed_config fsdp_config mixed_precision use_cpu rdzv_backend"
    ),
    SHARDS: _names("tokenizer_sha256 shards statistics dtype maximum_token"),
    TOKENIZER: _names(
        "added_tokens normalizer pre_tokenizer post_processor decoder truncation padding "
        "tokenizer_class model_max_length bos_token eos_token unk_token"
    ),
}
"""Keys at the top of files of each kind."""
START = "ds_configs/zero1_fp32.json"
"""The file of DeepSpeed's JSON to begin with."""
OPTIONS = {DEEPSPEED: "--deepspeed_config", SETTINGS: "--config"}


def hits(values: Mapping[str, Any]) -> dict[str, int]:
    """How many of a file's keys are those of each kind."""
    found = {name: len(marks & values.keys()) for name, marks in MARKS.items()}
    found[TRAINING] = sum(plain(key) in KEYS for key in values if key not in MARKS[HUB_MODEL])
    return found


def check_kind(values: Mapping[str, Any], option: str, path: str) -> None:
    """Refuse a file that is not what its option takes.

    Args:
        values: what the file holds.
        option: ``--config`` or ``--deepspeed_config``.
        path: of the file.

    Raises:
        ConfigError: it is something else; a key or two that are foreign do not make it so.
    """
    found = hits(values)
    wanted = next(name for name, of in OPTIONS.items() if of == option)
    best = max(found, key=lambda name: found[name])
    if found[best] > max(found[wanted], 1):
        rule = f"holds {best}, not {wanted}"
        raise ConfigError(Problem(option, path, rule, _fix(best, values, path)))


def option_of(path: str) -> str | None:
    """The option that takes a file, by what the file holds; `None` where that cannot be said.

    Args:
        path: of the file.
    """
    values = Problems().collect(read_json, Path(path).expanduser())
    found = hits(values or {})
    return OPTIONS.get(max(found, key=lambda name: found[name])) if any(found.values()) else None


def check_file(option: str, path: str) -> None:
    """Refuse what is no file of JSON at first sight.

    Args:
        option: ``--config`` or ``--deepspeed_config``.
        path: what was given for it.

    Raises:
        ConfigError: it is a folder, or in YAML.
    """
    file = Path(path).expanduser()
    if file.suffix in (".yaml", ".yml") and file.is_file():
        fix = "write it as JSON, or its values as key=value"
        raise ConfigError(Problem(option, path, "is YAML, not JSON", fix))
    if file.is_dir():
        record = ["run.json"] if (file / "run.json").exists() else []
        start = [Path(START).name] if (file / Path(START).name).exists() else []
        names = [*record, *start, "FILE.json"]
        raise ConfigError(Problem(option, path, "is a folder", f"write {option} {file / names[0]}"))


def read_settings(
    words: Sequence[str], config_file: str | None, found: Problems
) -> RunConfig | None:
    """The settings as far as they can be mended, unless their file is something else.

    Args:
        words: a preset's name, if any, and ``key=value`` words.
        config_file: a JSON file of settings, or a ``run.json``.
        found: collects what is wrong.
    """
    if config_file is not None:
        before = len(found.problems)
        found.collect(check_file, OPTIONS[SETTINGS], config_file)
        values = Problems().collect(read_json, Path(config_file).expanduser())
        found.collect(check_kind, values or {}, OPTIONS[SETTINGS], config_file)
        if len(found.problems) > before:
            return None
    return mended_settings(words, config_file, found)


def _fix(found: str, values: Mapping[str, Any], path: str) -> str:
    """What to do with a file of a kind."""
    if found in OPTIONS:
        return f"write {OPTIONS[found]} {path}"
    if found == SHARDS:
        return f"write {word('data.train', path.rpartition('/')[0] or '.')}"
    if found == TOKENIZER:
        return "leave it out: the shards know their tokenizer"
    words = " ".join(_words(values))
    typed = f"give its values as words: {words}" if words else "give its values as words"
    if found == HUB_MODEL:
        folder = path.rpartition("/")[0] or "."
        imported = f"dslm hub import {folder} runs/imported"
        return f"write {imported} and then init_from=runs/imported, or {typed}"
    return f"take {START} as DeepSpeed's, and {typed}"


def _words(values: Mapping[str, Any]) -> list[str]:
    """The words that stand for another program's keys."""
    said = [answered(key, value) for key, value in values.items() if value is not None]
    found = {one.key: one.value for one in said if one and one.key and one.value is not None}
    return [word(key, value) for key, value in found.items() if not key.startswith("--")]
