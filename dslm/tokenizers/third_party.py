"""Other people's tokenizers: which files are one, and what they call the special ids.

Only the data in the files is used; nothing in them is ever run and nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dslm.errors import DataError, Problem
from dslm.files.whole import read_json
from dslm.tokenizers.tokenizer import JSON, MODEL, ThirdPartyKind

FILES: dict[str, tuple[str, ...]] = {
    "sentencepiece": (MODEL,),
    "hugging-face": (JSON,),
    "gpt2": ("vocab.json", "merges.txt"),
    "bert": ("vocab.txt",),
}
"""What the files of a model are called beside our card."""

SETTINGS = "tokenizer_config.json"
CHAT_TEMPLATE = "chat_template.jinja"

SPECIAL = {
    "unk": ("<unk>", "[UNK]", "<|unk|>"),
    "eos": ("</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>", "[EOS]", "[SEP]"),
    "pad": ("<pad>", "[PAD]", "<|padding|>", "<|pad|>"),
    "cls": ("[CLS]", "<cls>", "<s>"),
    "sep": ("[SEP]", "<sep>", "</s>"),
    "mask": ("[MASK]", "<mask>"),
}
"""Their names for ours, the first that is there; BERT ends a text with [SEP], RoBERTa with </s>."""


class DamagedError(Exception):
    """The content of a file is not what its name says; the message is the library's own."""


class ThirdPartyFiles(NamedTuple):
    """A tokenizer of other people."""

    kind: ThirdPartyKind
    paths: tuple[Path, ...]
    """Its files, in the order of `FILES`."""


def find(path: Path) -> ThirdPartyFiles | None:
    """The tokenizer that a file is, or that a folder without a card holds, if any."""
    if path.is_file():
        return _file(path)
    paths = [path / name for name in (JSON, "vocab.json", "vocab.txt")]
    there = [file for file in paths if file.is_file()]
    models = list(path.glob("*.model"))
    if not there and len(models) == 1:
        there = models
    return _file(there[0]) if there else None


def read(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        rule = (error.strerror or "cannot be read").lower()
        raise DataError(Problem(str(path), None, rule)) from None


def settings_beside(found: ThirdPartyFiles) -> Mapping[str, Any]:
    """The `tokenizer_config.json` beside a tokenizer whose own files do not say as much.

    Raises:
        ConfigError: it is not JSON.
    """
    path = found.paths[0].with_name(SETTINGS)
    return read_json(path) if found.kind != "hugging-face" and path.is_file() else {}


def chat_template_beside(found: ThirdPartyFiles) -> str | None:
    """The chat template beside a tokenizer: a file of its own, or one of the settings.

    Of several that have names, the one called ``default``.

    Raises:
        DataError: its file cannot be read.
        ConfigError: the settings are not JSON.
    """
    alone, path = (found.paths[0].with_name(name) for name in (CHAT_TEMPLATE, SETTINGS))
    if alone.is_file():
        return read(alone).decode(errors="replace")
    kept = read_json(path).get("chat_template") if path.is_file() else None
    if isinstance(kept, list):
        named = {one.get("name"): one.get("template") for one in kept if isinstance(one, dict)}
        kept = named.get("default")
    return kept if isinstance(kept, str) else None


def begin_by_settings(
    settings: Mapping[str, Any], usual: str, number: Callable[[str], int | None]
) -> tuple[int, ...]:
    """What `add_bos_token` puts before a text where the tokenizer's own files say nothing of it.

    Args:
        settings: the content of `tokenizer_config.json`.
        usual: the name of the token unless `bos_token` says another.
        number: gives an id by its name, if it is there.
    """
    name = settings.get("bos_token") or usual
    found = number(str(name["content"] if isinstance(name, dict) else name))
    return () if found is None or not settings.get("add_bos_token") else (found,)


def special_ids(number: Callable[[str], int | None]) -> dict[str, int]:
    """The ids of special tokens by our names; `number` gives them by theirs, if they are there."""
    theirs = {ours: [number(name) for name in names] for ours, names in SPECIAL.items()}
    known = {ours: [i for i in ids if i is not None] for ours, ids in theirs.items()}
    return {ours: ids[0] for ours, ids in known.items() if ids}


def gap_ids(number: Callable[[str], int | None]) -> tuple[int, ...]:
    """The ids of what stands for gaps of a text: T5's <extra_id_0> and so on."""
    found: list[int] = []
    while (known := number(f"<extra_id_{len(found)}>")) is not None:
        found.append(known)
    return tuple(found)


def _file(path: Path) -> ThirdPartyFiles:
    name = path.name
    if name.endswith(".model"):
        return ThirdPartyFiles("sentencepiece", (path,))
    if name.endswith("vocab.txt"):
        return ThirdPartyFiles("bert", (path,))
    if name.endswith(("vocab.json", "merges.txt")):
        stem = name.removesuffix("vocab.json").removesuffix("merges.txt")
        files = (path.with_name(f"{stem}vocab.json"), path.with_name(f"{stem}merges.txt"))
        return ThirdPartyFiles("gpt2", files)
    return ThirdPartyFiles("hugging-face", (path,))
