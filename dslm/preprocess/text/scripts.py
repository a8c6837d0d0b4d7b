"""How scripts differ in writing words and sentences, as tables: what no rule may take for granted.

Code points are written in hexadecimal, as in the files of the Unicode Character Database.
"""

from __future__ import annotations


def _characters(ranges: str) -> frozenset[str]:
    """The characters of a list such as ``3F 61D-61F``."""
    borders = [[int(code, 16) for code in part.split("-")] for part in ranges.split()]
    return frozenset(chr(code) for pair in borders for code in range(pair[0], pair[-1] + 1))


SENTENCE_ENDS = _characters(
    """
    0021 002E 003F 0589 061D-061F 06D4 0700-0702 07F9 0837 0839 083D-083E 0964-0965 104A-104B 1362
    1367-1368 166E 1735-1736 17D4-17D5 1803 1809 1944-1945 1AA8-1AAB 1B4E-1B4F 1B5A-1B5B 1B5E-1B5F
    1B7D-1B7F 1C3B-1C3C 1C7E-1C7F 2024 203C-203D 2047-2049 2CF9-2CFB 2E2E 2E3C 2E53-2E54 2E60-2E61
    3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE12
    FE15-FE16 FE52 FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048
    110BE-110C1 11141-11143 111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 113D4-113D5
    1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C
    11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5 16B37-16B38 16B44 16D6E-16D6F 16E98 1BC9F
    1DA88
    """
)
"""Unicode's property Sentence_Terminal (version 17)."""

STOPS = "".join(
    mark
    for mark in sorted(SENTENCE_ENDS - {"\u104a"})
    if "@" < mark < "\u2000" or "。" < mark < "﹒"
)
"""Those of scripts but Latin and Chinese, without the Burmese comma."""

PUNCTUATION = SENTENCE_ENDS | _characters("2026 05C3 0E5A-0E5B 0F0D-0F12 1361 17DA")
"""What a line of prose ends in: also an ellipsis, the sof pasuq of Hebrew verse, the closing marks
of Thai and Khmer, the shad of Tibetan, and the Ethiopic word space, which people write twice for
the full stop."""

QUOTES = frozenset("\"'”’」』")
"""Closing quotation marks, which end a line of prose without a full stop too."""

ELLIPSES = "…⋯‥᠁"
"""Of Latin, Chinese, Japanese and Mongolian; the Chinese write theirs twice."""

SEPARATORS = _characters("0F0B-0F0C 1361 16EB-16ED 10100-10101 1039F 103D0 1091F")
"""Marks that part words or syllables where other scripts have a space: Tibetan, Ethiopic, …"""

UNSPACED_BLOCKS = """
    0E00-0EFF 1000-109F 1780-17FF 1950-19DF 1A20-1AAF 2E80-2FDF 3005-3007 3021-3029 3031-30FF
    3100-312F 31A0-31BF 31F0-31FF 3400-4DBF 4E00-9FFF A000-A4CF A980-A9FF AA60-AADF F900-FAFF
    FF66-FF9F"""
UNSPACED_LETTERS = _characters(f"{UNSPACED_BLOCKS} 17000-18DFF 1B000-1B2FF 20000")
"""The blocks of the letters of scripts without spaces, the last for all above: Thai, Lao, Burmese,
Khmer, Tai, Chinese, Japanese, Yi, Javanese, Tangut."""

PHONETIC_END = 0x2000
"""Of these, the ones above are syllables or words, and it takes about four of those below, in Thai,
Lao, Khmer, Burmese and Tai, to write a word: the Universal Declaration of Human Rights has 3.5 to
4.4 for each word of the English one; in Chinese, Yi and Japanese it has 1.4 to 2.2."""

STOPLESS_END = 0x0F00
"""Of these, the ones below are of Thai and Lao, which have no full stop."""
