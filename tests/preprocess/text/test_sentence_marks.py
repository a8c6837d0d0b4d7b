"""Marks told from the bytes around them: as the expression tells them, and without asking it."""

from __future__ import annotations

import string
from itertools import product

import pytest
from helpers.sentence_cuts import together

from dslm.preprocess.text.sentence_marks import boundaries
from dslm.preprocess.text.sentences import ANYWHERE, BEFORE_A_NAME, BEFORE_A_NUMBER, sentence_starts

LETTERS = string.ascii_lowercase + string.digits + "_"
CHARACTERS = [
    *map(chr, range(0x80, 0x3400)),  # the scripts and signs that share bytes with the marks
    *map(chr, range(0x3400, 0xD800, 61)),
    *map(chr, range(0xE000, 0xF8FF, 61)),
    *map(chr, range(0xF8FF, 0x10000)),
    *map(chr, range(0x10000, 0x110000, 4093)),
]


def undecided(text: str) -> list[int]:
    """The marks in a text that are left to the expression."""
    found = boundaries([text.encode()], BEFORE_A_NAME, BEFORE_A_NUMBER | ANYWHERE)
    return found.undecided.tolist()


@pytest.mark.parametrize("after", [" The last.", " 5."])
def test_every_word_of_two_or_three_letters_is_known_for_what_it_is(after: str) -> None:
    words = ["".join(letters) for n in (2, 3) for letters in product(LETTERS, repeat=n)]
    texts = [f"It is {word}.{after}" for word in words]
    assert together(texts) == [sentence_starts(text) for text in texts]


@pytest.mark.parametrize(
    "around",
    ["中{}a", "a.{} A", "a. {}a", "中{}\nx", "A\n{}x", "A {}\n\nx", "A\n\n{}AB\nx", "中;{}x"],
)
def test_every_character_around_a_mark_is_known_for_what_it_is(around: str) -> None:
    texts = [around.format(character) for character in CHARACTERS]
    assert together(texts) == [sentence_starts(text) for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "The rice is here. The milk is there.",
        "The rice is here! 5 men came? “Well” is not here. ‘Well’ is. (So.) Here.",
        'He said "nobody." She said (nothing.) It is “good.” They left. "Here."',
        "The rice is there.\n  The milk is here. \t The bread is here.",
        "The rice is here." + " " * 100 + "The milk is here.",
        "It is he. It was so. Here is an ox. They saw us. We ran by. The cat sat. A dog ran.",
        "It is 3.14 here; version 2.0.1 is not. They saw a.b@example.org there; he saw x.y.",
        "The rice is here! and there? he said, well! so. then (here.) it ends.",
        "We saw Mr. Smith, Mrs. Jones, Dr. Brown and viz. others.",
        "The rice\nis here\nand 1 dog\nand the (dog)\nand a dog\nThe dog\nA dog\nI go\n“Well” then",
        "The rice is here.\n\nThe milk is there:\n- one\n* two\n\n\n# Three\n> four\n  - five",
        "The rice is here\n \t\nIt ended?\r\n\r\nThe milk”\n\nThe bread–\n\n中文\n\nIt ended",
        "A title\n" + "The rice and the milk " * 6 + "\nThe bread",
        "A title\n“" + "The rice and the milk " * 6 + "\n“The bread",
        "The café\nIt was\nA) is here\nI.x it\n1\nABcd is here",
        "不好。龍不。你好.不好.龍",
        "他来了。她走了！真的吗？是的；好。Yes。1天｡好。 好。",
        "他来了\n她走了\r\nHe came\n“好”",
        "床前明月光\n疑是地上霜\n\n举头望明月\n- 低头\n",
        "性能优良.该方法简单.结果!可用?可用.",
        "他来了. 她走了! 5天? “好”",
        "吾輩は猫である。名前はまだ無い。カナ。ー。",
        "She left: “Élan”, he said; “Ça va”, and so on – — ― ‗ it is",
        "The café was here. The élan was there! It is far? It is.",
        "The ABC\nNext line AB\nIt is AB\nA bat\nA1 is\nOf 1 it",
        "The rice\n1 is here\n12 are\n123 of\na dog) is\nx, y) is\n-ed\n*ed\n#a",
    ],
)
def test_plain_text_is_reported_without_asking(text: str) -> None:
    assert undecided(text) == []
    assert together([text]) == [sentence_starts(text)]


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("It was here, in St. Louis.", 18),
        ("It was here… It was there", 11),
        ("The rice\nTHE END\nIt was", 8),
        ("The rice\n1. Wash it", 8),
        ("The rice\n(a) Wash it", 8),
        ("他来了！！她走了", 3),
    ],
)
def test_what_bytes_do_not_tell_is_asked_about(text: str, mark: int) -> None:
    assert mark in undecided(text)
