"""Where a text gives a number that belongs to a person: telephone, payment card, Chinese identity.

Numbers may touch Chinese characters; they do not touch Latin letters or other digits.
"""

from __future__ import annotations

import re

from dslm.preprocess.clean.personal.addresses import Span
from dslm.preprocess.clean.personal.checks import is_card, is_identity

_GAP = " \u00a0.\\-/\u2010-\u2015"  # what people put between groups of digits
_RUN = re.compile(  # of bounded length, or many brackets would take time by their square
    rf"[0-9+(](?<![A-Za-z0-9_].)(?<![A-Za-z0-9_]-.)"
    rf"[0-9+(){_GAP}]{{5,120}}(?<=[0-9])(?!-?[A-Za-z0-9_])"
)
_PHONE = re.compile(
    rf"""(?<![0-9])(?<![0-9][.,])(?:
      (?P<international>
          \+[1-9] (?:[{_GAP}()]{{0,3}}[0-9]){{7,14}}
        | 00[1-9] (?:[{_GAP}()]{{0,3}}[0-9]){{8,12}} )
    | (?P<american>
          (?:1[{_GAP}]{{1,2}})?
          (?:\([2-9][0-9]{{2}}\)[{_GAP}]{{0,3}} | [2-9][0-9]{{2}}[{_GAP}]{{1,3}})
          [2-9][0-9]{{2}}[{_GAP}]{{1,3}}[0-9]{{4}} )
    | (?P<chinese>
          1[3-9][0-9] (?:[0-9]{{8}} | [\ -][0-9]{{4}}[\ -][0-9]{{4}}) )
    | (?P<national>
          \(0[1-9][0-9]{{0,4}}\) (?:[{_GAP}]{{0,3}}[0-9]){{5,9}}
        | 0[1-9] (?:[{_GAP}]{{0,2}}[0-9]){{7,10}} )
    )(?![0-9])""",
    re.VERBOSE,
)
_ANY_PHONE = re.compile(
    rf"(?:\+|\([0-9]{{1,5}}\)|[0-9])(?:[{_GAP}()]{{0,3}}[0-9]){{6,14}}(?![0-9])"
)
_PHONE_BEFORE = re.compile(
    r"(?:(?<![a-z])(?:tel|telephone|phones?|fax|mobile|cell|whatsapp|telefon|handy|téléphone|"
    r"teléfono|móvil)|电话|手机|传真|電話|手機)"
    r"(?:\.|\ ?(?:no|nr|number)\b\.?|号码?|是|为)?[ \u00a0:：.(#-]{0,4}\Z",
    re.IGNORECASE,
)
_BOOK_BEFORE = re.compile(r"\b(?:isbn|issn|doi|oclc|pmid)(?:-1[03])?[ :：.]*\Z", re.IGNORECASE)
_ACCOUNT_BEFORE = re.compile(r"\b[A-Z]{2}[0-9]{2}(?: [0-9A-Z]{4})* \Z")  # ISO 13616, an IBAN
_DATE = re.compile(
    r"\(?(?:[0-9]{1,2}([./-])[0-9]{1,2}\1(?:[0-9]{2}){1,2}\b"
    r"|(?:1[0-9]|20)[0-9]{2}[^0-9]{1,3}(?:1[0-9]|20)[0-9]{2}\b"
    r"|(?:1[0-9]|20)[0-9]{2}([./-])[0-9]{1,2}\2[0-9]{1,2}\b)"
)
_CARD = re.compile(
    r"[2-6](?<![A-Za-z0-9_.].)"
    r"(?:[0-9]{12,18}"
    r"|[0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1[0-9]{3})?"
    r"|[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5})(?![A-Za-z0-9_])"
)
_IDENTITY = re.compile("[1-8](?<![A-Za-z0-9_].)[0-9]{16}[0-9Xx](?![A-Za-z0-9_])")


def identities(text: str) -> list[Span]:
    """The Chinese identity numbers of a text: see `is_identity`."""
    return [match.span() for match in _IDENTITY.finditer(text) if is_identity(match[0])]


def cards(text: str) -> list[Span]:
    """The payment card numbers of a text, in one run or in the groups printed on cards."""
    matches = _CARD.finditer(text)
    return [match.span() for match in matches if is_card(re.sub("[ -]", "", match[0]))]


def phones(text: str) -> list[Span]:
    """The telephone numbers of a text.

    With a country code, as in North America, in the ten or so digits from a zero of European and
    Chinese numbers, or as a Chinese mobile; after a word such as ``Tel`` any seven to fifteen
    digits. Dates, days of a calendar, parts of an IBAN, and numbers after ``ISBN`` and its like are
    none.
    """
    spans: list[Span] = []
    for run in _RUN.finditer(text):
        before = text[max(0, run.start() - 24) : run.start()]
        if _BOOK_BEFORE.search(before) or _ACCOUNT_BEFORE.search(before):
            continue
        start = run.start()
        if _PHONE_BEFORE.search(before):
            named = _ANY_PHONE.search(text, start, run.end())
            if named and not _DATE.match(text, start):
                spans.append(named.span())
                start = named.end()
        matches = _PHONE.finditer(text, start, run.end())
        spans += [match.span() for match in matches if _is_phone(match)]
    return spans


def _is_phone(match: re.Match[str]) -> bool:
    if match.lastgroup == "chinese":
        return not match[0].endswith("000000")  # a round number
    if match.lastgroup == "national" and _DATE.match(match.string, match.start()):
        return False
    return not match[0].isdigit() and not _counts_up(match[0])


def _counts_up(number: str) -> bool:
    """Whether the groups of digits are neighbouring numbers, as the days of a calendar are."""
    groups = [int(group) for group in re.findall("[0-9]+", number)]
    return len(groups) > 3 and groups == [*range(groups[0], groups[0] + len(groups))]
