"""The browser in which pages are looked at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from helpers.needs import need

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a module."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    need("" if found else f"no browser is installed (looked for {', '.join(NAMES)})")
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=found)
        yield started
        started.close()
