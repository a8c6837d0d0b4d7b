from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.hub import THEIRS, byte_level, word_pieces
from helpers.models import shaken

from dslm.hub.importing import import_folder
from dslm.inference.trained import Trained, load

Both = Callable[[str], tuple[Trained, Any]]


@pytest.fixture
def both(tmp_path: Path) -> Both:
    """A model of `transformers` as ours and as theirs: ``both(kind)``."""

    def make(kind: str) -> tuple[Trained, Any]:
        theirs, folder = shaken(THEIRS[kind]()), tmp_path / "theirs"
        theirs.save_pretrained(folder)
        tokenizer = word_pieces() if kind.startswith("bert") else byte_level()
        tokenizer.save(str(folder / "tokenizer.json"))
        import_folder(folder, tmp_path / "run")
        theirs.set_attn_implementation("eager")
        return load(tmp_path / "run"), theirs

    return make
