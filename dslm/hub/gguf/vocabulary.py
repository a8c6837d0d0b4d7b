"""A tokenizer as llama.cpp has it, made of the same tokenizer's ``tokenizer.json``.

==============  ======  ======================================================================
tokenizer.json  there   what llama.cpp does, and of which texts it makes other ids
==============  ======  ======================================================================
BPE, bytes      llama   joins the pair of the best score, as SentencePiece does; to it a ▁ in a
                        text is a space
unigram, bytes  plamo2  takes the cut of the highest sum of scores; of several equal ones, as of
                        a run of spaces, another than SentencePiece; drops U+FEFF at the start
byte-level BPE  gpt2    cuts at a pattern that it knows by name, and joins by merges; does not
                        compose characters (NFC)
characters      rwkv    takes the longest token; where a character may begin like one that it
                        does not know it never ends, so that only ASCII is written
==============  ======  ======================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dslm.errors import DataError, Problem
from dslm.tokenizers.scores import STEP

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""Types of tokens (llama.h: llama_token_type)."""

UNIT = 1e-4
"""Of what plamo2 rounds scores to multiples; a `STEP` of ours is written as one."""

NEVER = -1e4
"""A score that plamo2 takes for none."""


def _split(pattern: str, behavior: str) -> dict[str, Any]:
    """A step of a ``tokenizer.json`` that cuts a text."""
    found = {"type": "Split", "pattern": {"Regex": pattern}}
    return {**found, "behavior": behavior, "invert": False}


NFC = {"type": "NFC"}
MARKS_SPACES = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ],
}
"""What Llama 2 and Mistral do to a text first."""

CUTS_BYTE_NAMES = _split("<(?=0x[0-9A-F]{2}>)", "MergedWithPrevious")
CUTS_CHARACTERS = _split(r"[\s\S]", "Isolated")
CUTS_NOTHING = (None, CUTS_BYTE_NAMES)
"""What stands before a tokenizer of whole texts, see `dslm.tokenizers.tokenizer_json`."""

WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
OTHERS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = {
    WORDS + "{1,3}" + OTHERS: ("llama-bpe", True),
    WORDS + OTHERS: ("qwen2", False),
}
"""llama.cpp's names for patterns, and whether a word that is a token is not cut there."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model for llama.cpp."""

    model: str
    tokens: list[str]
    types: list[int]
    scores: list[float] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    pattern: str = "default"
    """What cuts a text before anything else."""
    space_first: bool = False
    """Whether a space is put before a text."""


def vocabulary(content: str, size: int) -> Vocabulary:
    """The tokens of a tokenizer.

    Args:
        content: of its ``tokenizer.json``.
        size: how many ids the model has; those behind the tokenizer's are never used.

    Raises:
        DataError: llama.cpp has no tokenizer of this kind.
    """
    from tokenizers import Tokenizer as Library

    described = json.loads(Library.from_str(content).to_str())
    makers = {"BPE": _bpe, "Unigram": _unigram, "WordLevel": _characters}
    make = makers.get(described["model"]["type"])
    found = make(described, *_tokens(described, size)) if make else None
    if found is None or len({*found.tokens}) < size or any("\0" in name for name in found.tokens):
        rule = "llama.cpp has no tokenizer that gives the same ids"
        fix = "train with one of kind bpe or unigram, or with GPT-2's"
        raise DataError(Problem("tokenizer", None, rule, fix))
    return found


def _tokens(described: Mapping[str, Any], size: int) -> tuple[list[str], list[int]]:
    """The names of all ids, and their types."""
    model, pairs = described["model"], described["model"]["vocab"]
    if isinstance(pairs, dict):
        names = {number: name for name, number in pairs.items()}
    else:
        names = dict(enumerate(name for name, _ in pairs))
    # No text has such a byte.
    tokens, types = [f"\\xff{number}" for number in range(size)], [UNUSED] * size
    for number, name in names.items():
        single = model.get("byte_fallback") and re.fullmatch("<0x[0-9A-F]{2}>", name)
        tokens[number], types[number] = name, BYTE if single else NORMAL
    for added in described["added_tokens"]:
        kind = CONTROL if added["special"] else USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], kind
    return tokens, types


def _bpe(described: Mapping[str, Any], tokens: list[str], types: list[int]) -> Vocabulary | None:
    model, first, cuts = (described[key] for key in ("model", "normalizer", "pre_tokenizer"))
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    if model["byte_fallback"] and first in (None, MARKS_SPACES) and cuts in CUTS_NOTHING:
        joined = dict.fromkeys(left + right for left, right in pairs)
        ranks = {name: -float(rank) for rank, name in enumerate(joined)}
        scores, names = [ranks.get(name, 0.0) for name in tokens], tokens
        if first is None:
            names = [name.replace(" ", "▁") for name in tokens]
        return Vocabulary("llama", names, types, scores, space_first=first is not None)
    pattern, whole_first = _pattern(cuts)
    if not pattern or model["ignore_merges"] != whole_first or first not in (None, NFC):
        return None
    merges = [f"{left} {right}" for left, right in pairs]
    return Vocabulary("gpt2", tokens, types, merges=merges, pattern=pattern)


def _pattern(cuts: Any) -> tuple[str, bool]:
    """llama.cpp's name for what cuts a text, if it has one, and what `PATTERNS` says besides."""
    match cuts:
        case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}:
            return "gpt-2", False
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"pattern": {"Regex": pattern}} as split,
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        } if split == _split(pattern, "Isolated"):
            return PATTERNS.get(pattern, ("", False))
    return "", False


def _unigram(
    described: Mapping[str, Any], tokens: list[str], types: list[int]
) -> Vocabulary | None:
    model, scores = described["model"], [NEVER] * len(tokens)
    alone = described["normalizer"] is None and described["pre_tokenizer"] in CUTS_NOTHING
    if not (alone and model["byte_fallback"]):
        return None
    for number, (_, score) in enumerate(model["vocab"]):
        if types[number] == NORMAL:
            steps = score / STEP
            if steps % 1 or steps * UNIT <= NEVER:
                return None
            scores[number] = steps * UNIT
    return Vocabulary("plamo2", tokens, types, scores)


def _characters(
    described: Mapping[str, Any], tokens: list[str], types: list[int]
) -> Vocabulary | None:
    cuts = described["pre_tokenizer"] == CUTS_CHARACTERS and described["normalizer"] is None
    if not cuts or not "".join(tokens).isascii():
        return None
    pairs = list(zip(tokens, types, strict=True))
    if any(len(name) != 1 for name, kind in pairs if kind != UNUSED):
        return None
    # A backslash begins an escape there, and a zero ends a name.
    names = [name if kind == UNUSED else f"\\x{ord(name):02x}" for name, kind in pairs]
    return Vocabulary("rwkv", names, types)
