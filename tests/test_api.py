"""The names that are meant to be used from Python, and the page made of their docstrings."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from helpers.paths import ROOT

from dslm import api
from dslm.preprocess import api as offline

MODULES = [api, offline]
NAMES = [pytest.param(module, name, id=name) for module in MODULES for name in module.__all__]
FUNCTIONS = [one for one in NAMES if str(one.id)[0].islower()]


@pytest.mark.parametrize("module", MODULES)
def test_the_names_are_sorted_and_named_once(module: ModuleType) -> None:
    assert module.__all__ == sorted(set(module.__all__))


@pytest.mark.parametrize("module", MODULES)
def test_what_the_module_imports_is_what_it_offers(module: ModuleType) -> None:
    assert {name for name in vars(module) if not name.startswith("__")} == set(module.__all__)


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_name_is_documented_where_it_is_defined(module: ModuleType, name: str) -> None:
    assert vars(module)[name].__doc__


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_a_function_documents_each_argument(module: ModuleType, name: str) -> None:
    documented = inspect.getdoc(vars(module)[name]) or ""
    arguments = inspect.signature(vars(module)[name]).parameters
    if len(arguments) > 1:
        assert [one for one in arguments if f"    {one}: " not in documented] == []


@pytest.mark.parametrize("module", MODULES)
def test_the_example_calls_only_names_that_exist(module: ModuleType) -> None:
    used = set(re.findall(r"\bapi\.(\w+)", module.__doc__ or "")) - {"py"}
    assert used
    assert used <= set(module.__all__)


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
    for module in MODULES:
        path = tmp_path.joinpath(*module.__name__.split(".")).with_suffix(".html")
        page = path.read_text(encoding="utf-8")
        assert [name for name in module.__all__ if f'id="{name}"' not in page] == []
        assert not re.findall(r'<(?:script|link|img)[^>]*"https?:', page)
