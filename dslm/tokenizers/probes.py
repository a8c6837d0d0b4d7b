"""Texts by which a tokenizer shows what it does to text.

Each has something that some tokenizer changes: case, accents, compatibility forms (NFKC), runs of
spaces, line ends, characters it has never seen. Whoever gives them back unchanged, byte by byte,
changes nothing else either.

What a tokenizer makes of a text depends on the kinds of characters that are side by side in it.
`neighbours` puts something of every kind beside something of every kind; whoever encodes all of
that the same in two ways does so with other texts.
"""

from __future__ import annotations

PROBES = (
    "",
    " ",
    "\n",
    "a",
    "a ",
    " a",
    "a  ",
    "  two  spaces   and more ",
    "She said: “It isn't 3.14, or £1,000 — it's 50% of NASA's (ÉTÉ) naïve façade…”",
    "windows\r\nlines\r\n\r\nand\ttabs\t\tand \n mixed \n\n  ones\n",
    "def f(x):\n    if x != 0:\n        return  x[0]   # two  spaces \n\n\n",
    "中文，没有空格。 日本語も、かな ｶﾅ が 한국어",
    "no-break\u00a0 space, wide\u3000 space \u3000 thin\u2009space, zero\u200bwidth, \u2028 line",
    "decomposed e\u0301, ligature ﬁ, half ½, wide ｗｉｄｅ, dotted İ, sharp ß, \u0301 alone",
    "emoji 😀🏽 👩‍👩‍👧 flags 🇩🇪 and \x00 \x07 \x7f \ufeff \ufffd \ue000",
    "1234567 12 345,678.90 2024-01-31 a1b2c3 x=y+z; <b>bold</b> http://a.org/?q=1&r=2",
)

KINDS = (
    *("a", "I", "the", "The", "NASA", "McGee", "x1", "o'clock", "isn't", "'s", "'ll", "école"),
    *("É", "ß", "ﬁ", "e\u0301", "\u0301", "Ω", "река", "שלום", "سلام", "हिन्दी", "ไทย", "한국"),
    *("中", "文字", "かな", "カ", "ー", "ｶﾅ", "ｗ", "0", "7", "1234", "3.14", "½", "²", "Ⅳ", "٣"),
    *(" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", "\f", "\u00a0", "\u3000"),
    *("\u2009", "\u2028", "\u200b", "\u200d", "\ufeff", "\x00", "\x07", "\x7f", "\x85", "\u00ad"),
    *(".", ",", "!", "?", ";", ":", "...", "…", "'", '"', "’", "“", "”", "`", "-", "--", "—", "–"),
    *("(", ")", "[", "]", "{", "}", "<", ">", "/", "\\", "|", "@", "#", "$", "%", "^", "&", "*"),
    *("_", "+", "=", "~", "§", "£", "。", "，", "？", "「", "」", "😀", "🇩🇪", "\ue000", "\ufffd"),
    *("👩\u200d👧", "▁", "Ġ", "##s", "</s>", "[MASK]", "http://a.org/?q=1", "a_b", "f(x)"),
    *(" a", " 1", " 中", " .", "a ", "1 "),
)
"""Something of every kind of characters; their number is prime."""


def neighbours() -> list[str]:
    """Texts in which each of `KINDS` comes before each other one, and before itself."""
    size = len(KINDS)
    walks = (range(step, step * (size + 2), step) for step in range(1, size))
    twice = (kind * 2 for kind in KINDS)
    return [*twice, *("".join(KINDS[index % size] for index in walk) for walk in walks)]
