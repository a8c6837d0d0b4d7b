from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.preprocess.clean.personal.checks import entropy, is_card, is_identity, luhn


@given(st.text("0123456789", min_size=1, max_size=18))
def test_exactly_one_last_digit_agrees_with_the_others(digits: str) -> None:
    assert sum(luhn(digits + last) for last in "0123456789") == 1


def test_a_card_needs_its_issuers_length() -> None:
    assert is_card("378282246310005")
    assert not is_card("37828224631000" + "50")


def test_every_check_sign_of_an_identity_is_the_one_that_the_standard_computes() -> None:
    generator = random.Random(1)
    for _ in range(200):
        digits = f"110105{generator.randint(1900, 2020)}0{generator.randint(1, 9)}15"
        digits += f"{generator.randint(0, 999):03}"
        right = [sign for sign in "0123456789X" if is_identity(digits + sign)]
        assert len(right) == 1
        # ISO 7064 mod 11-2, by its recursive method
        remainder = 0
        for digit in digits:
            remainder = (remainder + int(digit)) * 2 % 11
        assert (remainder + "0123456789X".index(right[0])) % 11 == 1


@pytest.mark.parametrize(("text", "bits"), [("aaaa", 0), ("abab", 1), ("abcd", 2), ("aabc", 1.5)])
def test_entropy_is_that_of_the_characters(text: str, bits: float) -> None:
    assert entropy(text) == bits
