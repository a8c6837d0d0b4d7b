from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.hub import THEIRS, byte_level, word_pieces
from helpers.models import shaken
from playwright.sync_api import Browser, Page

from dslm.commands import inspect as command
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


@pytest.fixture
def opened(browser: Browser) -> Iterator[Any]:
    """Opens the page of a run: ``opened(run)``; no error may come of it."""
    errors: list[str] = []
    context = browser.new_context(viewport={"width": 1100, "height": 900})

    def opens(folder: Path) -> Page:
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((folder / command.PAGE).as_uri())
        page.wait_for_selector(".matrix:visible")
        return page

    yield opens
    context.close()
    assert errors == []
