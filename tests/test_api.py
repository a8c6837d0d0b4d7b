"""The names that are meant to be used from Python, and the page made of their docstrings."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT

from dslm import api


def test_the_names_are_sorted_and_named_once() -> None:
    assert api.__all__ == sorted(set(api.__all__))


def test_what_the_module_imports_is_what_it_offers() -> None:
    assert {name for name in vars(api) if not name.startswith("__")} == set(api.__all__)


@pytest.mark.parametrize("name", api.__all__)
def test_a_name_is_documented_where_it_is_defined(name: str) -> None:
    assert vars(api)[name].__doc__


@pytest.mark.parametrize("name", [name for name in api.__all__ if name[0].islower()])
def test_a_function_documents_each_argument(name: str) -> None:
    documented = inspect.getdoc(vars(api)[name]) or ""
    arguments = inspect.signature(vars(api)[name]).parameters
    if len(arguments) > 1:
        assert [one for one in arguments if f"    {one}: " not in documented] == []


def test_the_example_calls_only_names_that_exist() -> None:
    used = set(re.findall(r"\bapi\.(\w+)", api.__doc__ or ""))
    assert used
    assert used <= set(api.__all__)


def test_make_docs_writes_a_page_that_names_everything(tmp_path: Path) -> None:
    recipe = re.search(r"^\t(pdoc .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    options = recipe[1].replace("build/api", str(tmp_path)).split()[1:]
    ended = subprocess.run(
        [sys.executable, "-m", "pdoc", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    page = (tmp_path / "dslm" / "api.html").read_text(encoding="utf-8")
    assert [name for name in api.__all__ if f'id="{name}"' not in page] == []
    assert not re.findall(r'<(?:script|link|img)[^>]*"https?:', page)
