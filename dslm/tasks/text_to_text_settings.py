"""The settings of text to text."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.metrics.written import Kind


@dataclass(config=STRICT, frozen=True, kw_only=True)
class TextToTextConfig:
    """Texts written of others."""

    records: Literal["pairs", "chats"] = "pairs"
    """What a record is: a source and a target; or a chat, of which each answer is learned, in any
    form that `preprocess/shard.py` knows, rendered by the tokenizer's chat template if it has
    one."""
    source: str = "source"
    """The field of the source."""
    target: str = "target"
    """The field of the target, a text; of several the first is learned, and what is written is
    compared with all."""
    prompt: str = "{source}"
    """What is read: a text around {source}, such as "Translate to German: {source}"; other names in
    braces are other fields."""
    between: str | None = None
    """What stands between both in one causal stack, such as "\\nGerman: "; null = the id that ends
    a document."""
    prefix: bool = False
    """Whether one stack sees the source whole, as a run of objective.kind=denoising has learned."""
    cut: Literal["end", "beginning"] | None = None
    """Where a source is cut that is longer than the model reads; null = at the end, of a chat at
    the beginning."""
    metric: Kind | None = None
    """What is measured: translation: BLEU and chrF; summary: ROUGE; exact: whether both are the
    same; null = the last, chrF and ROUGE-L."""
    characters: bool | None = None
    """Whether metrics of words take characters for words; null = where most letters of the targets
    are Chinese or Japanese."""
