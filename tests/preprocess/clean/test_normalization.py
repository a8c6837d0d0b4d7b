"""The steps that change characters: each changes what it names and nothing else."""

from __future__ import annotations

import unicodedata
from collections import Counter

import ftfy
import pytest
from ftfy.chardata import CHARMAP_ENCODINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from dslm.preprocess.clean.controls import Controls, ControlsConfig
from dslm.preprocess.clean.markup import Markup, MarkupConfig
from dslm.preprocess.clean.mojibake import Mojibake, MojibakeConfig
from dslm.preprocess.clean.step import Step
from dslm.preprocess.clean.unicode import Unicode, UnicodeConfig
from dslm.preprocess.clean.unusual import unusual
from dslm.preprocess.clean.whitespace import Whitespace, WhitespaceConfig
from dslm.preprocess.document import Document

MOJIBAKE = Mojibake(MojibakeConfig())
CONTROLS = Controls(ControlsConfig())
MARKUP = Markup(MarkupConfig())
WHITESPACE = Whitespace(WhitespaceConfig())
NFC = Unicode(UnicodeConfig(form="nfc"))
NFKC = Unicode(UnicodeConfig(form="nfkc"))

TEXTS = st.text(st.characters(exclude_categories=()), max_size=40)


def cleaned(step: Step, text: str) -> str:
    document = Document(text)
    assert step([document], Counter()) == [None]
    return document.text


@given(TEXTS)
def test_the_unusual_characters_are_those_outside_printable_ascii(text: str) -> None:
    assert unusual(text) == "".join(c for c in text if not (" " <= c <= "~" or c in "\t\n"))


@given(TEXTS)
def test_normalization_is_that_of_the_standard_library(text: str) -> None:
    assert cleaned(NFC, text) == unicodedata.normalize("NFC", text)
    assert cleaned(NFKC, text) == unicodedata.normalize("NFKC", text)


def test_a_text_in_normal_form_is_not_counted_as_changed() -> None:
    counts: Counter[str] = Counter()
    NFC([Document("caf\u00e9"), Document("cafe\u0301"), Document("plain")], counts)
    assert counts == {"Unicode normalized": 1}


@pytest.mark.parametrize("encoding", ["latin-1", "sloppy-windows-1252", "macroman"])
@pytest.mark.parametrize("text", ["“The café’s open”, she said — naïvely.", "schön übel, größer"])
def test_text_decoded_with_the_wrong_encoding_is_repaired(text: str, encoding: str) -> None:
    assert cleaned(MOJIBAKE, text.encode().decode(encoding)) == text


def test_one_broken_line_in_a_sound_text_is_repaired() -> None:
    text = "“Sound” — quite.\nIt costs 5 â‚¬ at the cafÃ©.\n日本語"
    assert cleaned(MOJIBAKE, text) == "“Sound” — quite.\nIt costs 5 € at the café.\n日本語"


SOUND = [
    "“Curly” ‘quotes’ — and … ﬁne ligatures, ｆｕｌｌ width",
    "Ça va très bien à l’été, où l’Âge d’or naît",
    "Fußgänger überqueren die Straße",
    "Съешь ещё этих мягких «французских» булок",
    "人生若只如初見，何事秋風悲畫扇。“是。”",
    "São Paulo, Ângela: AÇÃO",
]


@pytest.mark.parametrize("text", SOUND)
def test_sound_text_is_left_alone_by_the_repair_of_encodings(text: str) -> None:
    assert cleaned(MOJIBAKE, text) == text


@given(st.lists(st.sampled_from(["\ufffd", "Ã©", "â€œ", "é", "\x1a", "É°", " a"])).map("".join))
def test_what_was_lost_stays_marked_whatever_is_repaired_beside_it(text: str) -> None:
    marks = "\ufffd\x1a"
    assert [c for c in cleaned(MOJIBAKE, text) if c in marks] == [c for c in text if c in marks]


@settings(max_examples=300)
@given(
    # ftfy's encodings give the byte 0x1a for U+FFFD, which here stays what it is.
    st.text(
        st.characters(max_codepoint=0x2122, exclude_categories=["Cs"], exclude_characters="\x1a"),
        max_size=12,
    ),
    st.sampled_from(CHARMAP_ENCODINGS),
)
def test_no_text_that_ftfy_would_repair_is_overlooked(text: str, encoding: str) -> None:
    broken = text.encode().decode(encoding)
    options = ftfy.TextFixerConfig(explain=False, replace_lossy_sequences=False)
    expected = "\n".join(ftfy.fix_encoding(line, options) for line in broken.split("\n"))
    assert cleaned(MOJIBAKE, broken) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\x0bd\x0ce\u2028f\u2029g\x85h", "a\nb\nc\nd\ne\nf\ng\nh"),
        ("a\x00b\x07c\x1bd\x7fe\x9ff\tg", "abcdef\tg"),
        ("hy\u00adphen zero\u200bwidth \ufeffmark\u2060", "hyphen zerowidth mark"),
        ("\u202eevil\u202c \u2066x\u2069 \u200ey\u200f", "evil x y"),
        ("\ue000a\uf8ff\U000f0000b\U0010fffdc\ufffe\uffffd\ufdd0\U0001ffff", "abcd"),
        ("a\ud800b", "ab"),
    ],
)
def test_invisible_characters_are_removed(text: str, expected: str) -> None:
    assert cleaned(CONTROLS, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cخواهم",
        "क\u094d\u200dष",
        "👩\u200d💻\ufe0f 𝒜",
        "lost \ufffd",
        "ខ្ញុំ\u200bទៅ",
        "ไป\u200bมา",
    ],
)
def test_joiners_emoji_and_the_replacement_character_stay(text: str) -> None:
    assert cleaned(CONTROLS, text) == text


@given(TEXTS)
def test_the_control_step_leaves_nothing_of_the_unwanted_categories(text: str) -> None:
    left = {unicodedata.category(c) for c in cleaned(CONTROLS, text) if c not in "\t\n"}
    assert not left & {"Cc", "Cs", "Co", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "fish &amp; chips &#8212; &#x27;x&apos; &amp;quot;y&amp;quot;",
            "fish & chips — 'x' \"y\"",
        ),
        ('one<br/>two<BR>three<p class="x y" id=z>four</p>', "one\ntwo\nthree\nfour\n"),
        ("a <b>bold</b> and <a href='http://x.org/?a=1&b=2'>link</a>.", "a bold and link."),
        ("x<!-- no\nno -->y<script type='a'>if (a<b) c();</script>z<style>p{}</style>", "xyz"),
        ("an open <script src=x> and </span >", "an open  and "),
    ],
)
def test_markup_is_removed_and_entities_are_characters(text: str, expected: str) -> None:
    assert cleaned(MARKUP, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d, i<3",
        "#include <stdio.h> <iostream> List<int> Map<Label> Option<A> Vec<T> <string>",
        "AT&T, R&D, ?a=1&copy=2",
        "<person@example.org> <https://example.org> <<<",
    ],
)
def test_text_that_only_looks_like_markup_survives(text: str) -> None:
    assert cleaned(MARKUP, text) == text


@pytest.mark.parametrize(
    "text",
    [
        "simd_load<span>(p, q);\nlet x: Vec<<A as Atomic>::Type> = <A as Atomic>::Type::one();",
        "Promise<a> f(List<b> x, std::map<i, p> y);\nfoo<code>();",
        "function f<a extends b = c>(x: a): Promise<a> { return x; }",
        "if (a <b && value = 5 > c) return;",
        "usage: convert <input> <output>, or <link>; the mean <p> of a momentum; x<b>y; <title>",
        "The model reads <s> and writes </s>.",
        "Write `<br>` for a new line, and `<b>` and `</b>` around what is bold.",
        "```html\n<p class='x'>one</p>\n```",
        'const row = <tr><td className="a">{name}</td></tr>;',
        'page = "<p>%s</p><br>" % text\nsafe = text.replace("&", "&amp;")',
        "/** See <code>x</code>.<p> */\npublic List<b> get() {\n  return x;\n}",
        '{"body": "<p>one</p>"}',
    ],
)
def test_programs_and_what_is_written_about_tags_are_no_html(text: str) -> None:
    assert cleaned(MARKUP, text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One.<p>Two.\n<li>three", "One.\nTwo.\n\nthree"),
        ("H<sub>2</sub>O;\nx<sup>2</sup>;", "H2O;\nx2;"),
        ("<pre>\nint x = f();\nreturn x;\n</pre>\n<b>a</b>", "\n\nint x = f();\nreturn x;\n\n\na"),
        ("<html><body>\nint x = f();\nreturn x;\n</body>", "\n\n\nint x = f();\nreturn x;\n\n"),
        (
            "int x = 1;\nMap<Label> is <font color=red>red</font>\n<a name=b>",
            "int x = 1;\nMap<Label> is red\n",
        ),
    ],
)
def test_html_is_known_as_a_whole(text: str, expected: str) -> None:
    assert cleaned(MARKUP, text) == expected


def test_a_tag_that_a_writer_escaped_survives() -> None:
    assert cleaned(MARKUP, "write &lt;p&gt; here") == "write <p> here"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  a  b   c \t\n\n\n\n d \n", "a b c\n\n d"),
        ("a\u00a0b\u3000c\u2009d", "a b c d"),
        ("def f():\n    return  1\n", "def f():\n    return 1"),
        ("a\n \t \n   \n\nb", "a\n\nb"),
        ("a\tb", "a\tb"),
        ("", ""),
        (" \u3000\n", ""),
    ],
)
def test_white_space_is_put_in_order(text: str, expected: str) -> None:
    assert cleaned(WHITESPACE, text) == expected


@given(st.text(" \t\nab\u00a0\u3000", max_size=30))
def test_ordering_white_space_twice_is_ordering_it_once_and_keeps_the_words(text: str) -> None:
    once = cleaned(WHITESPACE, text)
    assert cleaned(WHITESPACE, once) == once
    assert once.split() == text.split()
    assert "\n\n\n" not in once
    assert all("  " not in line.lstrip() and line == line.rstrip() for line in once.split("\n"))


def test_each_step_counts_the_documents_that_it_changed() -> None:
    counts: Counter[str] = Counter()
    for step in (MOJIBAKE, CONTROLS, MARKUP, WHITESPACE):
        step([Document("as it is"), Document("cafÃ© \x00 &amp;  ")], counts)
    assert counts == {
        "encoding repaired": 1,
        "control characters removed": 1,
        "markup removed": 1,
        "white space changed": 1,
    }
