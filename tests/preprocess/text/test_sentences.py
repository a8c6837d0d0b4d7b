from __future__ import annotations

import pytest
from helpers.sentence_cuts import cut
from hypothesis import given
from hypothesis import strategies as some

from dslm.preprocess.text.sentences import LONGEST, sentence_starts

ENGLISH = [
    "He came.| She left.",
    "Who is it?| Nobody!| Really.",
    "Mr. Smith met Mrs. Jones and Dr. Brown.| They spoke.",
    "MR. SMITH met\nMr.\nJones in St. Louis.| It rained.",
    "Messrs. Dodson and Fogg wrote to Capt. Cuttle.| He wept.",
    "J. R. R. Tolkien wrote it.| C. S. Lewis read it.",
    "The house of W. A. Mozart is there.| We went.",
    "He lives in the U.S. Army barracks.| She does not.",
    "He came from the U.S.| He stayed.",
    "They met at 5 p.m.| He was late.",
    "They met at 5 p.m. Monday.| Nobody came.",
    "It is 3.14 or so.| Version 2.0.1 is out.",
    "See No. 5 and Fig. 3 on p. 7.| They differ.",
    "Did he?| No.| He did not.",
    "In Vol. II he dies.| In vol. 3 he lives.",
    "On Jan. 5 it snowed.| In March.| It thawed.",
    "Use tools, e.g. Python or C, i.e. Languages.| They help.",
    "Apples, pears, etc. are fruit.| We eat them.",
    "Apples, pears, etc.| They are fruit.",
    "Smith et al. 2004 found it.| They were glad.",
    "He has a Ph.D. from Yale.| She has an M.D.| It helps.",
    "Acme Inc. Chairman Joe Doe resigned.| The end.",
    "Well... perhaps.| Or not.",
    "Well . . . perhaps.| Or not.",
    "I wonder…| Then he slept.",
    '"Go!" he said.| "Now?"| "Yes."',
    "“Go!” he said.| “Now?”| “Yes.”",
    "'Go!' he said.| 'Now?'| 'Yes.'",
    '"Oh!"\nsaid he.| "Come in."',
    "He left (at last.)| She stayed.| [Sic.]| Then (see there) he fell.",
    "_Never!_| He ran.| **Stop.**| He fell.",
    "What?!| Indeed!!!| Fine.",
    '"Stop!" - and he fell.| "Go!"| - And he went.',
    "See www.example.com.| Write to a.b@example.org today.| Thanks.",
    "1. Wash the rice.| 2. Boil it.",
    "ii. Wash the rice.|\n\niii. Boil it.",
    "(a) Wash the rice.| (b) Boil it.",
    "Shopping:|\n- milk|\n- bread|\n* eggs",
    "Steps:|\n1) wash|\n2) boil",
    "A NOVEL|\nCHAPTER I|\nIt was dark.|\nThe wind\nblew.",
    "It ended.|\n\nPART TWO|\nThe Return|\n\nIt began.",
    "A title|\n\nA line that is\nwrapped at a word.",
    "A title|\r\n\r\nA line that is\r\nwrapped at a word.| Next.",
    "He came.  ",
    "the film is good .| it works .| really !",
    "tales by j . r . r . tolkien ,\nretold .| vs . them",
    "He was born in 1850.| In 1900 he died.| 12 people came.",
    "It was I.| Then it was he.",
    "The St. John's Wood omnibus stopped at Baker St.| He ran.",
    "Élan was lost.| Über alles.| Ça va. élan",
    "Он пришёл.| Она ушла. и всё",
]

OTHERS = [
    "सभी मनुष्य स्वतन्त्र हैं।| उन्हें बुद्धि मिली है॥| और!",
    "تمام انسان آزاد ہیں۔| انہیں ضمیر ودیعت ہوئی ہے۔",
    "هل هم أحرار؟| نعم.",
    "Բոլոր մարդիկ ազատ են։| Նրանք ունեն խիղճ։",
    "ልዩነት የለም።፡|የተፈጥሮ፡ማስተዋል፡ነው።| ባርነት።",
    "လူတိုင်း၊ ရှိသည်။|ထို သူတို့။",
    "មនុស្ស (ទាំងអស់។)| សិទ្ធិ៖ ពីរ។",
]
CHINESE = [
    "他来了。|她走了。",
    "他来了吗？|没有！|真的。",
    "他说：“你好。”|然后走了。",
    "他说：「你好！」|然后走了。",
    "“你好！”，他说。|我笑了。",
    "（他来了。）|她走了。",
    "先洗米；|后煮饭。",
    "什么？！|真的吗？？|是。",
    "我想……|还是算了。",
    "我……|我不知道。",
    "圆周率是3.14。|版本2.0。",
    "性能优良.|该方法简单.|结果表明:含量为95%.|可用.",
    "参数为148 m.|建筑物结构稳定;|施工方便.",
    "然而,B.S.巴克拉克认为如此.|他错了.",
    "1.引言很短。|2.方法如下。",
    "他用Python写的。|Hello也行。|3天后完成。",
    "床前明月光|\n疑是地上霜|\n举头望明月",
    "第一章|\n他来了。|\n她走了。",
    "《诗经》很古。|《论语》也是。",
    "他说：\"好。\"|她走了。",
]  # fmt: skip

JAPANESE = [
    "吾輩は猫である。|名前はまだ無い。",
    "「そうだ。」と言った。|それから寝た。",
    "そう……か。|なるほど。",
    "終った。|\n\u3000次の日、|\n\u3000また来た",
]


@pytest.mark.parametrize("case", ENGLISH + CHINESE + JAPANESE + OTHERS)
def test_sentences_end_where_a_reader_ends_them(case: str) -> None:
    assert cut(case) == case


@given(some.text(alphabet=" \n\r\t.!?…。；;\"”’'aA1中と　-–(MrU", max_size=200))
def test_the_sentences_joined_are_the_text(text: str) -> None:
    starts = sentence_starts(text)
    assert starts == sorted(set(starts))
    assert starts[:1] == [0][: len(text)]
    if text.strip():
        assert all(part.strip() for part in cut(text).split("|"))


def test_an_empty_text_has_no_sentence_and_a_blank_one_has_one() -> None:
    assert sentence_starts("") == []
    assert sentence_starts(" \n\n ") == [0]


@pytest.mark.parametrize(
    ("piece", "border"),
    [("word " * 9 + "word, ", ","), ("word ", "d"), ("字字字，", "，"), ("x", "x")],
)
def test_a_text_without_ends_is_cut_at_the_best_place_there_is(piece: str, border: str) -> None:
    text = piece * 3000
    starts = sentence_starts(text)
    assert len(starts) > 1
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        assert end - start <= LONGEST
        assert end == len(text) or text[end - 1] == border


def test_paragraphs_of_one_line_end_with_it() -> None:
    line = "Some words and then some more of them " * 4
    assert sentence_starts(f"{line}\n{line}\nShort") == [0, len(line) - 1, 2 * len(line)]


@pytest.mark.parametrize(
    "text",
    [
        ".",
        "…",
        "。",
        "\n",
        " ",
        ". ",
        "A. ",
        "\n ",
        ".\n",
        '."',
        '"',
        "- ",
        ".-",
        "\n-",
        "A\n",
        "A",
    ],
)
def test_endless_repetition_is_no_trouble(text: str) -> None:
    whole = text * (200_000 // len(text))
    assert sentence_starts(whole)[0] == 0
