"""What else the presets are called: names of a hub, families and sizes."""

from __future__ import annotations

import math
import re

from dslm.errors import nearest
from dslm.run.presets import PRESETS

FAMILIES = {
    "gpt2_small": "gpt2 gpt nanogpt gpt_2 gpt2_124m openai_gpt distilgpt2 gpt_neo gpt2small small",
    "gpt2_small_fast": "modded_nanogpt nanochat speedrun",
    "gpt2_medium": "medium gpt2_345m gpt2_355m",
    "gpt2_large": "large gpt2_774m",
    "gpt2_xl": "xl gpt2_1_5b",
    "llama_160m": "llama_small",
    "llama_1b": "llama llama3 llama2 tinyllama mistral qwen",
    "mixtral_8x7b": "mixtral moe",
    "olmoe_1b_7b": "olmoe",
    "bert_base": "bert bert_small bertbase",
    "roberta_base": "roberta",
    "t5_small": "t5 t5_base",
    "bart_base": "bart",
    "transformer_base": "transformer",
    "autoencoder_small": "autoencoder ae",
    "lstm_small": "lstm rnn",
    "gru_small": "gru",
    "shakespeare_char": "shakespeare nano char",
    "tiny": "test debug default toy mini",
    "fine_tune": "finetune finetuning sft continue",
}
"""What else the presets are called, families by the size that one begins with."""


def nearest_preset(name: object) -> str | None:
    """The preset that a name most likely means, a hub's names included; `None` if none is near."""
    plain = str(name).rpartition("/")[2].lower().replace("-", "_")
    others = {word: preset for preset, words in FAMILIES.items() for word in words.split()}
    known = {**others, **{preset: preset for preset in PRESETS}}
    begins = [begin for begin in known if re.match(rf"{re.escape(begin)}(?![a-z0-9])", plain)]
    if not begins:
        return nearest(name, PRESETS)
    begin = max(begins, key=len)
    return _of_size(known[begin], plain.removeprefix(begin)) if begin in others else known[begin]


def _of_size(preset: str, said: str) -> str:
    """The preset of a family whose size is nearest to one that a name says.

    Args:
        preset: one of the family.
        said: the name, less that of the family.
    """
    family = preset.partition("_")[0]
    sizes = {one: _size(one) for one in PRESETS if one.partition("_")[0] == family}
    wanted = _size(said)
    if not (wanted and sizes[preset]):
        return preset
    return min(sizes, key=lambda one: abs(math.log((sizes[one] or 1) / wanted)))


def _size(name: str) -> float:
    """How many weights a name says that a model has: ``7b``; 0 where it says nothing."""
    found = re.search(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([mb])(?![a-z0-9])", name)
    return float(found[1]) * {"m": 1e6, "b": 1e9}[found[2]] if found else 0.0
