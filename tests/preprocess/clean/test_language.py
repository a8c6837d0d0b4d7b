from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.errors import DataError
from dslm.preprocess.clean.language import UNKNOWN, Language, LanguageConfig, sample
from dslm.preprocess.document import Document

# Article 1 of the Universal Declaration of Human Rights
TEXTS = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with "
    "reason and conscience and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft "
    "und Gewissen begabt und sollen einander im Geiste der Brüderlichkeit begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués "
    "de raison et de conscience et doivent agir les uns envers les autres dans un esprit de "
    "fraternité.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como "
    "están de razón y conciencia, deben comportarse fraternalmente los unos con los otros.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены "
    "разумом и совестью и должны поступать в отношении друг друга в духе братства.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"
    "人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "he": "כל בני אדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון, לפיכך "
    "חובה עליהם לנהוג איש ברעהו ברוח של אחוה.",
}
TRADITIONAL = (
    "人人生而自由,在尊嚴和權利上一律平等。他們賦有理性和良心,並應以兄弟關係的精神互相對待。"
)


def identified(text: str) -> str:
    document = Document(text)
    Language(LanguageConfig(on=True))([document], Counter())
    return document.language


@pytest.mark.parametrize("language", TEXTS)
def test_a_text_is_given_the_iso_code_of_its_language(language: str) -> None:
    assert identified(TEXTS[language]) == language


@pytest.mark.parametrize(
    "text",
    [
        "Armij otemjej rej rujlok ilo anemkwoj im jonon utiej eo im maron ko air wot juon. Emwij "
        "lelok non ir maron in bukot non ir make im bareinwot boklikot kin men ko rej tomaki.",
        "Patal an inik ani an uxum u wa'tsinal walkadh abal jununúl kin bats'uw an alwa'taláb ani "
        "ka pidhan in éy jant'ini' in tomnál; in kwa'al in tsalpádh ani in k'ayá'.",
    ],
)
def test_what_the_detector_takes_for_english_for_want_of_better_is_unclear(text: str) -> None:
    assert identified(text) != "en"


def test_chinese_is_one_language_in_either_script() -> None:
    assert identified(TRADITIONAL) == "zh"


@pytest.mark.parametrize("text", ["", " ", "\n\n", "1234 5678", "… — !!!", "😀😀😀", "\ud800"])
def test_what_is_no_language_is_unclear(text: str) -> None:
    assert identified(text) == UNKNOWN


@pytest.mark.parametrize("strange", ["\0", "\x1b[0m", "\x85", "\ud83d", "\ufdd0", "\U0010ffff"])
def test_characters_that_the_detector_refuses_do_no_harm(strange: str) -> None:
    assert identified(TEXTS["de"].replace(" ", f" {strange}")) == "de"


@given(st.text(st.characters()))
def test_no_text_is_refused(text: str) -> None:
    assert identified(text)


def test_other_languages_are_left_out_and_all_are_counted() -> None:
    documents = [Document(text) for text in (TEXTS["en"], TEXTS["zh"], TEXTS["en"], "12345")]
    counts: Counter[str] = Counter()
    reasons = Language(LanguageConfig(on=True, allow=("en", "de")))(documents, counts)
    assert reasons == [None, "other language: zh", None, "language unclear"]
    assert not counts


def test_without_a_list_nothing_is_left_out() -> None:
    documents = [Document(TEXTS["ja"]), Document("…")]
    assert Language(LanguageConfig(on=True))(documents, Counter()) == [None, None]


def test_unclear_texts_can_be_allowed() -> None:
    step = Language(LanguageConfig(on=True, allow=("en", "und")))
    assert step([Document("12345"), Document(TEXTS["ru"])], Counter()) == [
        None,
        "other language: ru",
    ]


def test_a_text_in_two_languages_is_unclear_when_more_confidence_is_asked() -> None:
    mixed = TEXTS["en"] + "\n" + TEXTS["de"]
    for least, expected in ((0.3, {"en", "de"}), (0.9, {UNKNOWN})):
        document = Document(mixed)
        Language(LanguageConfig(on=True, minimum_confidence=least))([document], Counter())
        assert document.language in expected


def test_a_language_that_cannot_be_identified_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"allow = 'eng'.*did you mean 'en'"):
        Language(LanguageConfig(on=True, allow=("zh", "eng")))


def test_a_sample_is_short_and_comes_from_the_whole_text() -> None:
    text = "".join(f"{number:05} " for number in range(100_000))
    taken = sample(text)
    assert len(taken) < 500
    numbers = [int(word) for word in taken.split() if len(word) == 5]
    assert min(numbers) < 30
    assert any(49_900 < number < 50_100 for number in numbers)
    assert max(numbers) == 99_999


def test_a_short_text_is_its_own_sample() -> None:
    assert sample(" one\n\n two  three ") == "one two three"
