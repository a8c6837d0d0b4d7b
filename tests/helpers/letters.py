"""A tokenizer of the `tokenizers` library with an id for each letter, and ids that are no text."""

from __future__ import annotations

import json
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

SPECIAL = ("<unk>", "</s>", "<pad>", "<|begin|>", "<|end|>")
LETTERS = "abcdefghijklmnopqrstuvwxyzAUS :\n"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|begin|>{{ message.role }}\n{{ message.content | trim }}<|end|>"
    "\n{% endfor %}{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
)
"""That of ChatML, with other names."""


def write_letters(folder: Path, chat_template: str | None = None) -> Path:
    """Write the tokenizer to a folder, which is made."""
    ids = {name: number for number, name in enumerate([*SPECIAL, *LETTERS])}
    library = tokenizers.Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    library.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    library.decoder = decoders.Fuse()
    library.add_special_tokens([*SPECIAL])
    folder.mkdir()
    library.save(str(folder / "tokenizer.json"))
    if chat_template:
        settings = {"chat_template": chat_template, "eos_token": "</s>"}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
