"""Texts by which a tokenizer shows what it does to text.

Each has something that some tokenizer changes: case, accents, compatibility forms (NFKC), runs of
spaces, line ends, characters it has never seen. Whoever gives them back unchanged, byte by byte,
changes nothing else either; whoever encodes them the same in two ways does so with other texts.
"""

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
