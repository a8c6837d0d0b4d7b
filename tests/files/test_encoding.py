from __future__ import annotations

import pytest
from helpers.declaration import SENTENCES
from helpers.reading import Make, Read

from dslm.files.encoding import encoding_in, encoding_of
from dslm.preprocess.read.reading import ReadingConfig

DETECT = ReadingConfig(encoding="detect")
CHINESE = (
    "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。\n" * 5
)
GERMAN = "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind begabt.\n" * 5
RUSSIAN = (
    "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены.\n" * 5
)
THAI = "สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจอย่างรวดเร็ว"
HEBREW = "בְּרֵאשִׁית בָּרָא אֱלֹהִים אֵת הַשָּׁמַיִם"
JAPANESE = (
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。\n" * 5
)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be", "utf-8-sig"])
@pytest.mark.parametrize("mode", ["file", "line"])
def test_byte_order_marks_are_honoured(make: Make, read: Read, encoding: str, mode: str) -> None:
    mark = "\ufeff" if encoding.endswith("be") else ""
    found = read(make((mark + "grün\n语言 😀").encode(encoding)), documents=mode)
    assert "\n".join(found.texts) == "grün\n语言 😀"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "gb18030"),
        (CHINESE.replace("严", "嚴"), "utf-8"),
        (GERMAN, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (THAI, "cp874"),
        (HEBREW, "cp1255"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc-jp"),
        ("plain words\n", "ascii"),
    ],
)
def test_other_encodings_are_detected(make: Make, read: Read, text: str, encoding: str) -> None:
    assert read(make(text.encode(encoding)), encoding="detect").texts == [text]


def test_one_damaged_byte_does_not_change_the_encoding_of_a_text(make: Make) -> None:
    content = bytearray(GERMAN.encode() * 20)
    content[5] = 0xFF
    assert encoding_of(make(bytes(content)), "", detect=True) == "utf-8"


def test_a_late_change_of_a_large_file_is_seen(make: Make) -> None:
    content = b"only ascii here\n" * 40_000 + GERMAN.encode("cp1252") * 1000
    assert encoding_of(make(content), "", detect=True) == "cp1252"


def test_without_being_asked_nothing_is_guessed(make: Make) -> None:
    assert encoding_of(make(GERMAN.encode("cp1252")), "", detect=False) == "utf-8"


@pytest.mark.parametrize("policy", ["refuse", "replace"])
def test_what_is_invalid_in_another_encoding_follows_the_policy(
    make: Make, read: Read, policy: str
) -> None:
    half = "fine\nhalf ".encode("utf-16") + b"\x3d\xd8" + " pair\nfine".encode("utf-16-le")
    found = read(make(half), documents="line", invalid_utf8=policy)
    if policy == "refuse":
        assert (found.texts, found.reasons) == (["fine", "fine"], ["not UTF-8"])
    else:
        assert found.texts == ["fine", "half \ufffd pair", "fine"]
        assert found.counts == {"replaced": 1, "read as utf-16": 1}


@pytest.mark.parametrize(
    ("encoding", "sentence"),
    [(encoding, sentence) for encodings, sentence in SENTENCES for encoding in encodings.split()],
)
@pytest.mark.parametrize("times", [1, 30])
def test_a_sentence_of_each_language_is_read_in_its_code_page(
    encoding: str, sentence: str, times: int
) -> None:
    raw = f"{sentence}\n".encode(encoding) * times
    assert raw.decode(encoding_in(raw, detect=True)) == f"{sentence}\n" * times


def test_what_is_in_no_encoding_that_is_known_is_not_made_into_a_text() -> None:
    serbian = "Сва људска бића рађају се слободна и једнака у достојанству и правима. " * 3
    with_latin_letters = serbian.translate(str.maketrans("аеојрсу", "aeojpcy"))
    assert encoding_in(with_latin_letters.encode("cp1251"), detect=True) == "utf-8"


def test_which_encodings_were_taken_is_counted(make: Make, read: Read) -> None:
    assert read(make(GERMAN.encode("cp1252")), encoding="detect").counts == {"read as cp1252": 1}
