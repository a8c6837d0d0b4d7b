from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from dslm.commands.shard_config import PreprocessingConfig
from dslm.config.help import keys
from dslm.config.parse import parse
from dslm.errors import DataError
from dslm.preprocess.clean.pipeline import Cleaner, CleaningConfig
from dslm.preprocess.clean.presets import PRESETS
from dslm.preprocess.document import Document, Rejected

PROSE = (
    "The river that we followed in the morning had turned to the west by noon, and it was plain "
    "that the bridge of which the old man spoke could not be far. We sat down under the trees, "
    "ate what was left of the bread, and looked at the water for a long time. Nobody said much. "
    "A boat with two fishermen came down from the mill and was soon out of sight again. "
    "My brother asked whether we had come the wrong way, but none of us knew what to answer. "
    "When the sun was low we went on, and with the last of the light we saw the two stone arches, "
    "half hidden by leaves, and beside them a house whose door stood open to the road.\n"
)


def cleaning(**steps: dict) -> CleaningConfig:
    return parse(CleaningConfig, {name: {"on": True, **more} for name, more in steps.items()})


def clean(choices: CleaningConfig, *texts: str) -> tuple[list[str], list[str], Counter[str]]:
    """The texts that are kept, the reasons of the others, and what was counted."""
    documents = [Document(text, 0, number) for number, text in enumerate(texts)]
    rejected, changed = list[Rejected](), Counter[str]()
    kept = Cleaner(choices)(documents, changed, rejected.append)
    return [document.text for document in kept], [one.reason for one in rejected], changed


def test_without_steps_every_text_stays_as_it_is() -> None:
    texts = ["&amp; \x07", "  x  ", "nai\u0308ve"]
    assert clean(CleaningConfig(), *texts) == (texts, [], Counter())
    assert CleaningConfig().active == []


def test_a_text_of_white_space_is_left_out_as_empty() -> None:
    assert clean(CleaningConfig(), "a", " \n\t", "") == (["a"], ["empty", "empty"], Counter())


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        ("mojibake", "schÃ¶n und grÃ¼n, naÃ¯ve cafÃ©", "schön und grün, naïve café"),
        ("unicode", "nai\u0308ve", "na\xefve"),
        ("controls", "a\x07b", "ab"),
        ("markup", "<p>one &amp; two</p>", "one & two"),
        ("whitespace", "a \t b   \n\n\n\n\nc", None),
        ("personal", "write to jane.doe@company.com today", None),
    ],
)
def test_each_step_does_its_work_when_it_alone_is_on(
    step: str, before: str, after: str | None
) -> None:
    assert clean(CleaningConfig(), before)[0] == [before]
    (found,), reasons, changed = clean(cleaning(**{step: {}}), before)
    assert found.strip() == after if after else found != before
    assert reasons == []
    assert 1 in changed.values()
    assert cleaning(**{step: {}}).active == [step]


def test_rules_apply_to_what_the_repairs_left() -> None:
    dirty = PROSE.replace(" ", "&nbsp;").replace("and", "a\x07nd")
    assert clean(cleaning(quality={}), dirty)[0] == []
    kept, reasons, _ = clean(
        cleaning(controls={}, markup={}, unicode={}, whitespace={}, quality={}), dirty
    )
    assert (len(kept), reasons) == (1, [])


def test_languages_are_identified_and_the_others_left_out() -> None:
    chinese = "石头在河里，光在上面。老人说桥不远，我们坐在树下，看着水很久。" * 5
    choices = cleaning(language={"allow": ["en"]})
    kept, reasons, _ = clean(choices, PROSE, chinese)
    assert kept == [PROSE]
    assert len(reasons) == 1


def test_a_placeholder_of_personal_data_counts_for_no_rule() -> None:
    text = PROSE + " ".join(f"jane{number}@company.com" for number in range(12))
    alone = clean(cleaning(quality={}, repetition={}), text)
    masked = clean(cleaning(quality={}, repetition={}, personal={}), text)
    assert [len(masked[0]), masked[1]] == [len(alone[0]), alone[1]]


def test_what_becomes_of_a_text_does_not_depend_on_its_neighbours() -> None:
    choices = parse(PreprocessingConfig, PRESETS["web"]()).cleaning
    texts = [PROSE, "short", PROSE.upper(), "<p>" + PROSE, PROSE + "jane@company.com", ""]
    together = clean(choices, *texts)[0]
    alone = [kept for text in texts for kept in clean(choices, text)[0]]
    assert together == alone
    assert 0 < len(together) < len(texts)


def test_a_rejected_document_comes_with_its_place_and_text() -> None:
    rejected = list[Rejected]()
    choices = cleaning(quality={})
    Cleaner(choices)([Document("too short", 3, 17)], Counter(), rejected.append)
    (one,) = rejected
    assert (one.input, one.offset, one.text, one.broken) == (3, 17, "too short", False)
    assert one.reason


def test_a_step_that_lacks_its_file_is_told_when_it_is_made() -> None:
    choices = cleaning(contamination={"files": ["nothing.txt"]})
    with pytest.raises(DataError, match=r"nothing\.txt"):
        Cleaner(choices)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_parsed_and_tells_what_it_is(name: str) -> None:
    choices = parse(PreprocessingConfig, PRESETS[name]())
    Cleaner(choices.cleaning)
    assert PRESETS[name].__doc__
    assert (choices.cleaning.active == []) == (name == "none")


def test_every_key_of_cleaning_says_what_it_means() -> None:
    single = [key for key in keys(PreprocessingConfig).values() if key.type != "a group of keys"]
    assert [key.name for key in single if not key.meaning] == []


def test_settings_can_be_compared_and_kept_in_a_table() -> None:
    choices = parse(PreprocessingConfig, PRESETS["web"]()).cleaning
    assert hash(choices) == hash(replace(choices))
    assert choices == replace(choices)


def test_a_text_that_is_left_out_is_told_of_without_its_personal_data() -> None:
    cleaner, left_out = Cleaner(cleaning(personal={}, quality={})), list[Rejected]()
    document = Document("write to anna@example.org")
    assert cleaner([document], Counter(), cleaner.masked(left_out.append)) == []
    assert [one.text for one in left_out] == ["write to <EMAIL>"]
