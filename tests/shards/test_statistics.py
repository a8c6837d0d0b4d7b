from __future__ import annotations

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from dslm.shards.statistics import EXAMPLES, Statistics, TextVolume

COUNTS = st.integers(0, 1000)
REASONS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 1000))
VOLUMES = st.builds(TextVolume, documents=COUNTS, tokens=COUNTS, text_bytes=COUNTS)
TALLIES = st.builds(
    Statistics,
    documents=COUNTS,
    tokens=COUNTS,
    text_bytes=COUNTS,
    sentences=COUNTS,
    maximum_token=COUNTS,
    changed=REASONS,
    left_out=REASONS,
    broken=REASONS,
    examples=st.lists(st.text(max_size=3), max_size=EXAMPLES),
    languages=st.dictionaries(st.sampled_from(["de", "en"]), VOLUMES),
    lengths=st.lists(COUNTS, max_size=5),
)


def total(*tallies: Statistics) -> Statistics:
    made = Statistics()
    for statistics in tallies:
        made.add(statistics)
    return made


def without_trailing_zeros(statistics: Statistics) -> dict:
    facts = asdict(statistics)
    while facts["lengths"] and not facts["lengths"][-1]:
        facts["lengths"].pop()
    return facts


@given(st.lists(TALLIES, min_size=3, max_size=3))
def test_it_does_not_matter_how_units_are_grouped(units: list[Statistics]) -> None:
    one, two, three = units
    assert asdict(total(total(one, two), three)) == asdict(total(one, total(two, three)))


@given(TALLIES, TALLIES)
def test_counts_add_up_and_the_largest_id_is_kept(one: Statistics, two: Statistics) -> None:
    both = total(one, two)
    assert both.tokens == one.tokens + two.tokens
    assert both.maximum_token == max(one.maximum_token, two.maximum_token)
    assert sum(both.left_out.values()) == sum([*one.left_out.values(), *two.left_out.values()])
    assert sum(both.lengths) == sum(one.lengths) + sum(two.lengths)
    assert list(both.broken) == sorted({*one.broken, *two.broken})


@given(TALLIES)
def test_nothing_added_changes_nothing(statistics: Statistics) -> None:
    assert without_trailing_zeros(total(statistics, Statistics())) == without_trailing_zeros(
        total(statistics)
    )


def test_adding_does_not_change_what_is_added() -> None:
    unit = Statistics(languages={"en": TextVolume(1, 2, 3)}, lengths=[1])
    made = total(unit, unit)
    assert made.languages == {"en": TextVolume(2, 4, 6)}
    assert unit == Statistics(languages={"en": TextVolume(1, 2, 3)}, lengths=[1])


def test_the_first_examples_stay() -> None:
    units = [Statistics(examples=[f"{number}"] * 8) for number in range(4)]
    assert total(*units).examples == ["0"] * 8 + ["1"] * 8 + ["2"] * 4
