"""Rules about periods: what stands before one, and what behind it."""

from __future__ import annotations

import string

import pytest
from helpers.sentence_cuts import cut
from hypothesis import given
from hypothesis import strategies as some

BEFORE_A_NAME = (
    "Adm Brig Capt Cf Col Dr e.g Esq Fr Gen Gov Hon i.e Lieut Lt Maj Messrs Mgr Mlle Mme Mr Mrs Ms "
    "Mt Mx Prof Pres Rep Rev Sen Sgt viz vs"
)
BEFORE_A_NUMBER = (
    "Apr art Aug cap ch Dec ed Eq Exod Feb Fig figs fol Jan Jul Jun lib Mar Matt No nos Nov Oct op "
    "p para pl pp pt Ps r sec Sect Sep Sept tab v ver Vol vols vv"
)
ANYWHERE = (
    "A.D a.m al apt Assn Ave B.C Blvd Bros ca Co Corp Dept Dist etc ft hrs ibid Inc Jr lb lbs Ltd "
    "M.D Mfg min Mss nr oz p.m Ph.D pub Rd Sq Sr St Univ"
)
FIRST_WORDS = (
    "A After All Although An And Another As At Because Before But By Did Do Does Each Even Every "
    "For From Had Has He Her Here His How However I If In Is It Its Later Many Moreover Most My No "
    "Nor Not Now Of On Once One Only Or Our Perhaps She Since So Some Such That The Their Then "
    "There These They This Those Though Thus To Today Two Under Until Was We Were What When Where "
    "Which While Who Why With Yes Yet You Your"
)


@pytest.mark.parametrize("word", BEFORE_A_NAME.split())
@pytest.mark.parametrize("case", ["It is {}. The last.| So.", "It is {} . The last.| So."])
def test_a_title_never_ends_a_sentence(word: str, case: str) -> None:
    assert cut(case.format(word)) == case.format(word)


@pytest.mark.parametrize("word", BEFORE_A_NUMBER.split())
@pytest.mark.parametrize("number", ["5", "1900", "II", "XVIII", "XL", "VC", " 5"])
def test_a_word_that_counts_is_abbreviated_before_a_number(word: str, number: str) -> None:
    case = f"He saw {word}. {number} there.| So."
    assert cut(case) == case


@pytest.mark.parametrize("word", BEFORE_A_NUMBER.split())
def test_a_word_that_counts_ends_a_sentence_before_a_word(word: str) -> None:
    case = f"He saw {word}.| They left.| So."
    assert cut(case) == case


@pytest.mark.parametrize("after", ["Vance", "XD", "IV8", "DD", "MM", "I was"])
def test_a_word_is_not_abbreviated_before_what_is_no_number(after: str) -> None:
    case = f"He said no.| {after} came."
    assert cut(case) == case


@pytest.mark.parametrize("word", ANYWHERE.split())
def test_an_abbreviation_before_a_name_ends_no_sentence(word: str) -> None:
    case = f"He saw {word}. Paul there.| So."
    assert cut(case) == case


@pytest.mark.parametrize("word", [word for word in ANYWHERE.split() if "." not in word])
def test_an_abbreviation_ends_a_sentence_before_a_word_that_begins_many(word: str) -> None:
    case = f"He saw {word}.| They left.| So."
    assert cut(case) == case


@pytest.mark.parametrize("word", FIRST_WORDS.split())
def test_each_of_the_first_words_begins_a_sentence_behind_an_abbreviation(word: str) -> None:
    case = f"It was made by Acme Corp.| {word} came."
    assert cut(case) == case


@pytest.mark.parametrize("quote", ["", '"', "'", "“", "‘", "(", '("'])
@pytest.mark.parametrize("gap", [" ", "  ", "\n", "\t"])
def test_a_first_word_may_be_quoted_and_far_away(gap: str, quote: str) -> None:
    case = f"It was made by Acme Corp.|{gap}{quote}The man came."
    assert cut(case) == case


@pytest.mark.parametrize("name", ["Alan", "Isaac", "A.B. Yehoshua", "It_is", "In2", "Soé"])
def test_a_name_that_begins_like_a_first_word_begins_no_sentence(name: str) -> None:
    case = f"It was made by Acme Corp. {name} came."
    assert cut(case) == case


@pytest.mark.parametrize("letter", sorted({*string.ascii_letters} - {"I"}))
def test_an_initial_ends_no_sentence_before_a_name(letter: str) -> None:
    case = f"It was by {letter}. Paul there.| So."
    assert cut(case) == case


def test_the_word_i_is_no_initial() -> None:
    assert cut("It was by I.| Paul there.") == "It was by I.| Paul there."


@pytest.mark.parametrize(
    "word", ["U.S", "z.Z", "a.A", "Ph.D", "D.Ph", "az.AZ.za", "N.Y.P.D", "Z.m", "m.Z"]
)
def test_parts_of_one_or_two_letters_make_an_abbreviation(word: str) -> None:
    case = f"It was by {word}. Paul there.| So."
    assert cut(case) == case


@pytest.mark.parametrize("word", ["qxq.x", "x.qxq", "x.QXQ", "x.QXQ.x", "3.x", "x.3", "x..q", "xq"])
def test_parts_of_three_letters_or_with_digits_make_none(word: str) -> None:
    case = f"It was by {word}.| Paul there.| So."
    assert cut(case) == case


@pytest.mark.parametrize("before", [*"([{\"“”-_/@`^é中'’", " ."])
def test_an_abbreviation_may_stand_behind_what_is_no_part_of_a_word(before: str) -> None:
    case = f"It is by {before}Mr. The last.| So."
    assert cut(case) == case


@pytest.mark.parametrize("before", [*"azAZ09", "x.", "x'", "x’"])
def test_the_end_of_a_longer_word_is_no_abbreviation(before: str) -> None:
    for word in ("Mr", "Rev", "Hon"):
        case = f"It is by {before}{word}.| The last.| So."
        assert cut(case) == case


@pytest.mark.parametrize("close", [*'")”*」）', "」”"])
def test_what_is_closed_behind_its_period_is_no_abbreviation(close: str) -> None:
    case = f"He saw (the Mr.{close}| The last.| So."
    assert cut(case) == case


def test_a_word_of_more_than_nine_characters_is_reported_by_its_last_nine() -> None:
    assert cut("It was abc.d.e.f.| Paul came.") == "It was abc.d.e.f.| Paul came."
    assert cut("It was abc.d.e.fg. Paul came.") == "It was abc.d.e.fg. Paul came."


@pytest.mark.parametrize("mark", ["!", "?", "…", ".."])
def test_only_a_single_period_abbreviates(mark: str) -> None:
    case = f"He saw Mr{mark}| The last.| So."
    assert cut(case) == case


@pytest.mark.parametrize("word", ["U.S", "Ltd", "St", "Mr"])
def test_a_capital_abbreviation_goes_on_in_chinese(word: str) -> None:
    case = f"他说{word}.巴克来了。|好。"
    assert cut(case) == case


@pytest.mark.parametrize("word", ["m", "lb", "etc", "p.m"])
def test_a_unit_of_measure_ends_a_chinese_sentence(word: str) -> None:
    case = f"他说3 {word}.|巴克来了。|好。"
    assert cut(case) == case


@pytest.mark.parametrize(
    "number",
    [
        *"0123456789aZAzMm",
        "12",
        "123",
        "II",
        "IV",
        "XI",
        "LX",
        "VL",
        "iii",
        "xiv",
        "xix",
        "lii",
        "xviii",
        "IVXLI",
        "vl",
    ],
)
def test_the_number_of_an_item_is_no_sentence(number: str) -> None:
    assert cut(f"{number}. The rice.") == f"{number}. The rice."
    assert cut(f"He ate!|\n\n{number}. The rice.") == f"He ate!|\n\n{number}. The rice."


@pytest.mark.parametrize("before", [*" (*#>•-\n", "- ", "  *"])
def test_the_number_of_an_item_may_stand_behind_its_bullet(before: str) -> None:
    assert cut(f"{before}1. The rice.") == f"{before}1. The rice."


@pytest.mark.parametrize(
    "word", ["1234", "xxviii", "IVIVIV", "12a", "cc", "CD", "be", "+1", "=a", "_", "- "]
)
def test_a_longer_number_or_a_word_is_a_sentence(word: str) -> None:
    assert cut(f"{word}.| The rice.") == f"{word}.| The rice."


def test_the_number_of_an_item_takes_nine_characters_at_most() -> None:
    assert cut("- >  123. The rice.") == "- >  123. The rice."
    assert cut("- >   123.| The rice.") == "- >   123.| The rice."


@given(number=some.from_regex(r"\d{1,9}(\.\d{1,9}){1,3}", fullmatch=True))
def test_a_period_within_a_number_ends_nothing(number: str) -> None:
    case = f"It was {number} then.| So."
    assert cut(case) == case
