"""Checks that distinguish a number of one kind from any other run of digits."""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter

_CARD_PREFIXES = (
    # first digits from, to; how long such numbers are
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)),  # Mastercard
    (2221, 2720, (16,)),  # Mastercard
    (34, 34, (15,)),  # American Express
    (37, 37, (15,)),  # American Express
    (36, 36, (14, 15, 16, 17, 18, 19)),  # Diners Club
    (38, 39, (14, 16, 17, 18, 19)),  # Diners Club
    (300, 305, (14, 16, 17, 18, 19)),  # Diners Club
    (6011, 6011, (16, 17, 18, 19)),  # Discover
    (644, 659, (16, 17, 18, 19)),  # Discover
    (3528, 3589, (16, 17, 18, 19)),  # JCB
    (62, 62, (16, 17, 18, 19)),  # UnionPay
)

_PROVINCE = re.compile("1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")  # GB/T 2260
_IDENTITY_WEIGHTS = tuple(2 ** (17 - index) % 11 for index in range(17))
_IDENTITY_CHECKS = "10X98765432"


def is_card(digits: str) -> bool:
    """Whether digits are a payment card's: an issuer's prefix and length, and the Luhn check.

    The check is that of ISO/IEC 7812-1, annex B; one run of digits in ten passes it by chance.
    """
    return _has_issuer(digits) and luhn(digits)


def luhn(digits: str) -> bool:
    """Whether the last digit agrees with the others: each second one from the right is doubled."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _has_issuer(digits: str) -> bool:
    return any(
        first <= int(digits[: len(str(first))]) <= last and len(digits) in lengths
        for first, last, lengths in _CARD_PREFIXES
    )


def is_identity(number: str) -> bool:
    """Whether eighteen signs are a Chinese identity number, by GB 11643-1999.

    Six digits of a district, whose first two name a province; a day of birth from 1850 on; three of
    a serial number; and a check sign by ISO 7064, mod 11-2, in which X means ten.
    """
    total = sum(
        weight * int(digit) for weight, digit in zip(_IDENTITY_WEIGHTS, number[:17], strict=True)
    )
    return (
        _PROVINCE.match(number) is not None
        and _is_day(number[6:14])
        and _IDENTITY_CHECKS[total % 11] == number[17].upper()
    )


def _is_day(digits: str) -> bool:
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:])
    try:
        datetime.date(year, month, day)
    except ValueError:
        return False
    return 1850 <= year < 2100


def entropy(text: str) -> float:
    """Shannon's entropy of the characters of a text that is not empty, in bits a character."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)
