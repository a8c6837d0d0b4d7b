"""Clean prose of 44 languages passes whatever is asked of web pages, and comes out as it went in.

The texts are the first articles of the Universal Declaration of Human Rights, which is in the
public domain.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dslm.config.parse import parse
from dslm.preprocess.clean.lines import Lines, LinesConfig
from dslm.preprocess.clean.pipeline import Cleaner, CleaningConfig
from dslm.preprocess.clean.presets import web
from dslm.preprocess.document import Document

LINES = Path(__file__).with_name("declarations.jsonl").read_text(encoding="utf-8").splitlines()
DECLARATIONS = {line["language"]: line["lines"] for line in map(json.loads, LINES)}
CLEANER = Cleaner(parse(CleaningConfig, web()["cleaning"]))
STOPLESS = ("tha", "lao")


def cleaned(text: str) -> str:
    """What `--clean web` makes of a text, or why it leaves it out."""
    reasons: list[str] = []
    kept = CLEANER([Document(text)], Counter(), lambda one: reasons.append(one.reason))
    return kept[0].text if kept else f"left out: {reasons[0]}"


@pytest.mark.parametrize("between", [" ", "\n", "\n\n"])
@pytest.mark.parametrize("language", DECLARATIONS)
def test_clean_prose_of_any_language_passes_unchanged(language: str, between: str) -> None:
    text = between.join(DECLARATIONS[language])
    assert cleaned(text) == text


@pytest.mark.parametrize("language", DECLARATIONS)
def test_a_text_of_one_line_may_end_as_it_likes(language: str) -> None:
    text = " ".join(DECLARATIONS[language])
    for end in (" (1)", "…", " …"):
        assert cleaned(text + end) == text + end


@settings(max_examples=200)
@given(
    language=st.sampled_from([name for name in DECLARATIONS if name != "eng"]),
    repeats=st.integers(20, 60),
)
def test_one_line_over_and_over_is_left_out_in_any_language(language: str, repeats: int) -> None:
    line = DECLARATIONS[language][0]
    assert cleaned("\n".join([line] * repeats)).startswith("left out")
    assert cleaned(" ".join([line] * repeats)).startswith("left out")


@pytest.mark.parametrize("language", DECLARATIONS)
def test_a_list_of_names_and_numbers_is_left_out_in_any_language_that_has_a_full_stop(
    language: str,
) -> None:
    words = " ".join(DECLARATIONS[language]).translate(dict.fromkeys(map(ord, ".،۔")))
    size = len(words) // 20
    items = [f"{words[at : at + size].strip()} ({at})" for at in range(0, size * 20, size)]
    assert cleaned("\n".join(items)).startswith("left out") is (language not in STOPLESS)


@pytest.mark.parametrize("language", DECLARATIONS)
def test_asked_for_punctuated_lines_those_of_any_language_stay(language: str) -> None:
    lines = DECLARATIONS[language]
    ended = [line for line in lines if language in STOPLESS or not line[-1].isalpha()]
    before = "\n".join(line for line in ended if line[-1] not in ",،")
    document = Document(before)
    Lines(LinesConfig(unpunctuated=True))([document], Counter())
    assert document.text == before
