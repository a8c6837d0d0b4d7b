"""Where the sentences of a text begin, by rules for English and Chinese and all full stops.

The path of a text: one expression finds where a sentence may end, and decides most marks by the
characters around them; a period after a short word is looked up among the abbreviations; a stretch
that would be longer than `LONGEST` is cut at a clause mark or a space. A sentence begins right
after the end of the one before, so white space between two belongs to the second, and the sentences
joined are the text.

Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection", 2006, name the cues used
here for periods: the length of the word before, its inner periods, the case of the word after and
whether that is a frequent first word. Their statistics are replaced by fixed lists, so that where
a document is cut depends on that document alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import repeat

from dslm.preprocess.text.scripts import STOPS

LONGEST = 2000
"""Characters after which a text without an end of sentence is cut."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BEFORE_A_NAME = _words(
    "adm brig capt cf col dr e.g esq fr gen gov hon i.e lieut lt maj messrs mgr mlle mme mr "
    "mrs ms mt mx prof pres rep rev sen sgt viz vs"
)
"""Abbreviations that never end a sentence."""

BEFORE_A_NUMBER = _words(
    "apr art aug cap ch dec ed eq exod feb fig figs fol gen jan jul jun lib mar matt no nos nov "
    "oct op p para pl pp pt ps r sec sect sep sept tab v ver vol vols vv"
)
"""Words that are abbreviations when a number follows."""

ANYWHERE = _words(
    "a.d a.m al apt assn ave b.c blvd bros ca co corp dept dist etc ft hrs ibid inc jr lb lbs ltd "
    "m.d mfg min mss nr oz p.m ph.d pub rd sq sr st univ"
)
"""Abbreviations that end a sentence when a word follows that often begins one."""

FIRST_WORDS = re.compile(
    r"\s+[\"'“‘(]*(?:A|After|All|Although|An|And|Another|As|At|Because|Before|But|By|Did|Do|Does|"
    r"Each|Even|Every|For|From|Had|Has|He|Her|Here|His|How|However|I|If|In|Is|It|Its|Later|Many|"
    r"Moreover|Most|My|No|Nor|Not|Now|Of|On|Once|One|Only|Or|Our|Perhaps|She|Since|So|Some|Such|"
    r"That|The|Their|Then|There|These|They|This|Those|Though|Thus|To|Today|Two|Under|Until|Was|We|"
    r"Were|What|When|Where|Which|While|Who|Why|With|Yes|Yet|You|Your)(?![.\w])"
)
"""Words that begin a sentence more often than a name."""

HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
HIRAGANA = "\u3040-\u309f"
OPENING = "“‘「『（《〈【〔［"
CLOSING = "”’」』）》〉】〕］｝〗"
WIDE = "。！？；｡"
SMALL = "a-zß-öø-ÿα-ωа-џ"
CAPITALS = r"[^\na-z\xaa\xb5\xba\xc0-\u1fff\u2070-\U0010ffff]{0,60}"  # and punctuation

LISTED = BEFORE_A_NAME | BEFORE_A_NUMBER | ANYWHERE
ENDINGS = "|".join(
    ["[ivxl]{3}", *sorted({word[-3:] for word in LISTED if re.search("[a-z]{3}$", word)})]
)
"""Of abbreviations and of small Roman numbers, three letters each."""

MARK = re.compile(rf"[.!?…{WIDE}{STOPS};\n]")
# What follows a mark looks back to see which of them it was.
CANDIDATE = re.compile(
    rf"""[.!?…{WIDE}{STOPS};\n](?:
      (?<=\n)(?![a-z][a-z])(?:              # a line end, if no small letter follows
        (?P<line>
          \s*(?=\n)                                                     # before an empty line
        | (?=[^\S\n]*(?:[-*•·▪#>]|\(?\d{{1,3}}[.)]|\(?[a-z]\))[^\S\n])  # before an item
        | (?=\u3000)                                                    # before an indent
        | (?<=[{HAN}{HIRAGANA}]\n) | (?<=[{HAN}{HIRAGANA}]\r\n)         # Chinese never wraps words
        | (?=[^\n]{{120}}) | (?<=[^\n]{{120}}\n) )                      # paragraphs, not wrapped
        | (?P<heading>{CAPITALS}[A-Z]{{2}}{CAPITALS}(?=\n)) )                  # and a heading
    | (?<=[.!?…])(?![ ]?[.!?…])             # the last of . ? ! …
      [{CLOSING}"')\]}}»*_]*
      (?: (?=\s[\s–—-]*[^\s{SMALL},;:–—-])                              # then no small letter
        | (?=[{HAN}{OPENING}])                                          # Chinese, western marks
        | (?<=\w[ ][.])(?=\s) )                                         # marks set apart by spaces
      (?P<doubt>(?<=[\w ]\.)(?:(?<![a-z]{{3}}\.)|(?<=(?:{ENDINGS})\.)))?   # an abbreviation?
    | (?<=[{WIDE}])                         # the Chinese marks
      [{WIDE}…!?]*[{CLOSING}"']*(?![{WIDE}{CLOSING}…!?"'，、：,:])
      (?:(?<![{CLOSING}"'…])|(?![{HIRAGANA}]))                          # 「…」と言った goes on
    | (?<=[…;])(?=[{HAN}])
    | (?<=[{STOPS}])[{STOPS}.!?…፡]*[{CLOSING}"')\]}}»]*(?![,،])   # of other scripts
    )""",
    re.VERBOSE,
)

ITEM = re.compile(r"[\s(*#>•-]*(?:\d{1,3}|[A-Za-z]|[ivxlIVXL]{1,5})")
"""The number of an item or a section, which is no sentence of its own."""

NUMBER = re.compile(r"\s+(?:\d|[IVXLC]{2,}\b)")
INITIALS = re.compile(r"[A-HJ-Za-z]|[A-Za-z]{1,2}(?:\.[A-Za-z]{1,2})+")
BETWEEN_WORDS = re.compile(r"[^A-Za-z\d.'’]+")

CLAUSE = re.compile(r"[;；，、：—]|[,:](?=\s)")
SPACE = re.compile(r"(?=\s)")


def sentence_starts(text: str) -> list[int]:
    r"""The characters at which the sentences of a text begin.

    Args:
        text: of any length; line ends are ``\n`` or ``\r\n``.

    Returns:
        Offsets in ascending order, of which the first is 0; none for an empty text. No sentence
        is longer than `LONGEST`.
    """
    if not text:
        return []
    starts, _ = starts_after(text, (match.start() for match in MARK.finditer(text)), repeat(0))
    end = len(text.rstrip()) or 1
    return cut(text, sorted({0, *(start for start in starts if start < end)}))


def starts_after(
    text: str, marks: Iterable[int], before: Iterable[int]
) -> tuple[list[int], list[tuple[int, int]]]:
    """The starts of sentences after those of some marks that end one.

    Args:
        text: that in which they are.
        marks: positions of characters of `MARK`, ascending; one within the end of a sentence is
            passed over.
        before: for each of them, the last start that is known otherwise.

    Returns:
        The starts, and the headings among the sentences: from the line end before each to the one
        after it.
    """
    starts, headings, done = [0], [], 0
    for mark, last in zip(marks, before, strict=False):  # one start may do for all
        match = CANDIDATE.match(text, mark) if mark >= done else None
        if match is None:
            continue
        done = match.end()
        if match.lastgroup == "line":
            starts.append(_before_space(text, mark))
        elif match.lastgroup == "heading":
            starts += (_before_space(text, mark), _before_space(text, done))
            headings.append((mark, done))
        elif match.lastgroup is None or not _abbreviates(text, max(starts[-1], last), done):
            starts.append(done)
    return starts[1:], headings


def _before_space(text: str, position: int) -> int:
    """Where the white space begins that ends at a position."""
    while position and text[position - 1].isspace():
        position -= 1
    return position


def _abbreviates(text: str, last: int, end: int) -> bool:
    """Whether the sentence that began at `last` goes on after the period before `end`."""
    if end - last < 10 and ITEM.fullmatch(text, last, end - 1):
        return True
    word = BETWEEN_WORDS.split(text[max(last, end - 10) : end - 1].rstrip())[-1].lstrip("'’.")
    key = word.lower()
    if key in BEFORE_A_NAME or (key in BEFORE_A_NUMBER and NUMBER.match(text, end)):
        return True
    if key not in ANYWHERE and not INITIALS.fullmatch(word):
        return False
    if text[end].isspace():
        return not FIRST_WORDS.match(text, end)
    return not word.islower()  # small letters before Chinese are a unit of measure


def cut(text: str, starts: list[int]) -> list[int]:
    """The starts with as many more as it takes to have no sentence longer than `LONGEST`."""
    pieces = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        pieces.append(start)
        while end - pieces[-1] > LONGEST:
            pieces.append(_late_pause(text, pieces[-1]))
    return pieces


def _late_pause(text: str, start: int) -> int:
    """Where to cut a sentence that is too long: after a clause, else before a space."""
    for pause in (CLAUSE, SPACE):
        pauses = list(pause.finditer(text, start + LONGEST // 2, start + LONGEST))
        if pauses:
            return pauses[-1].end()
    return start + LONGEST
