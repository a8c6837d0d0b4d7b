"""Lines that are no text go, and the others stay as they are."""

from __future__ import annotations

from collections import Counter

import pytest

from dslm.preprocess.clean.lines import Lines, LinesConfig
from dslm.preprocess.document import Document


def kept(text: str, settings: LinesConfig = LinesConfig()) -> str:  # noqa: B008
    document = Document(text)
    Lines(settings)([document], Counter())
    return document.text


@pytest.mark.parametrize(
    "line",
    [
        "Home page",
        "Please enable JavaScript to see this page.",
        "This site uses cookies to follow you around.",
        "Read our PRIVACY POLICY before you go on.",
        "x" * 1001 + " and two more",
    ],
)
def test_a_line_that_is_no_text_is_removed(line: str) -> None:
    assert kept(f"First of all lines.\n\n{line}\nLast of all lines.") == (
        "First of all lines.\n\nLast of all lines."
    )


@pytest.mark.parametrize(
    "text",
    [
        "Just three words",
        "She manuscripted a description of the rookie.\n\n    indented by four spaces",
        "白日依山盡，黃河入海流。\n" + "山" * 1200,
        "እያንዳንዱ፡ሰው፡" * 120,
        "བྲན་གཡོག་" * 150,
    ],
)
def test_other_lines_stay_as_they_are(text: str) -> None:
    assert kept(text) == text


@pytest.mark.parametrize("text", ["JavaScript is a language.", "እያንዳንዱ፡ሰው፡ነው", "བྲན་གཡོག་ཏུ།"])
def test_the_only_line_of_a_text_may_mention_what_it_likes_and_part_words_by_marks(
    text: str,
) -> None:
    assert kept(text) == text


def test_lines_without_punctuation_go_only_if_asked() -> None:
    text = "This one ends well.\nThis one does not\nThis one trails off...\n“So does this.”"
    assert kept(text) == text
    assert kept(text, LinesConfig(unpunctuated=True)) == "This one ends well.\n“So does this.”"


def test_rules_can_be_switched_off() -> None:
    text = "Home\nJavaScript is needed here.\nOur privacy policy is long.\n" + "x" * 1001
    off = LinesConfig(minimum_words=None, maximum_word=None, javascript=False, policy=False)
    assert kept(text, off) == text


def test_changed_documents_are_counted_and_emptied_ones_left_out() -> None:
    counts: Counter[str] = Counter()
    documents = [Document("Home"), Document("A line of text.\nHome"), Document("A line of text.")]
    assert Lines(LinesConfig())(documents, counts) == ["no lines left", None, None]
    assert counts == {"lines removed": 2}
