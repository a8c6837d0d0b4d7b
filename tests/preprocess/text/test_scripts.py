"""The tables of scripts against the properties that Unicode gives their characters."""

from __future__ import annotations

import sys
import unicodedata

import regex

from dslm.preprocess.text.scripts import PUNCTUATION, SENTENCE_ENDS, SEPARATORS, UNSPACED_LETTERS

ALL = [chr(code) for code in range(sys.maxunicode + 1)]


def test_sentences_end_in_what_unicode_says_of_every_character_known_to_python() -> None:
    known = {character for character in ALL if unicodedata.category(character) != "Cn"}
    terminal = set(regex.findall(r"\p{Sentence_Terminal}", "".join(sorted(known))))
    assert terminal == SENTENCE_ENDS & known


def test_marks_are_marks_and_no_letters() -> None:
    assert all(unicodedata.category(mark)[0] in "PC" for mark in PUNCTUATION | SEPARATORS)


def test_every_letter_of_a_script_that_breaks_lines_within_words_is_known_as_unspaced() -> None:
    scripts = r"[\p{Line_Break=SA}\p{Han}\p{Hiragana}\p{Katakana}\p{Yi}]"
    basic = {c for c in ALL[:0x10000] if unicodedata.category(c)[0] == "L"}
    assert set(regex.findall(scripts, "".join(sorted(basic)))) <= UNSPACED_LETTERS
