"""The text of tokens while they are written: whole characters, up to a stop string."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from helpers.models import build, shaken, small
from helpers.writing import write_all

from dslm.inference.sampling import SamplingConfig
from dslm.inference.tail import Tail


def bytes_of(ids: Sequence[int]) -> str:
    """Ids that are bytes."""
    return bytes(ids).decode(errors="replace")


def written(text: str, stop: Sequence[str] = (), given: str = "so: ") -> tuple[list[str], Tail]:
    """The pieces that are shown of a text of bytes, up to a stop string."""
    tail = Tail(bytes_of, given.encode(), stop)
    pieces = []
    for number in text.encode():
        pieces.append(tail.add(number))
        if tail.stopped:
            break
    return [*pieces, tail.finish()], tail


@pytest.mark.parametrize("text", ["plain", "naïve – ünïcode", "你好", "a👍🏽b"])
@pytest.mark.parametrize("given", ["", "so: ", "ü"])
def test_only_whole_characters_are_shown(text: str, given: str) -> None:
    pieces, tail = written(text, given=given)
    assert "".join(pieces) == tail.text == text
    assert "\ufffd" not in "".join(pieces)
    assert sum(map(bool, pieces)) == len(text)


def test_a_character_that_stays_cut_is_shown_in_the_end() -> None:
    tail = Tail(bytes_of, b"", ())
    assert [tail.add(number) for number in "aü".encode()[:2]] == ["a", ""]
    assert tail.finish() == "\ufffd"


@pytest.mark.parametrize(
    ("stop", "shown"),
    [
        (["river"], "The "),
        (["\n\n"], "The river\nfalls."),
        (["you", "\n"], "The river"),
        (["zz"], "The river\nfalls.\n\nAnd you"),
        (["er\nf", "river"], "The "),
        (["The river"], ""),
        (["\nfalls!", "falls?"], "The river\nfalls.\n\nAnd you"),
    ],
)
def test_a_text_ends_before_a_stop_string(stop: list[str], shown: str) -> None:
    pieces, tail = written("The river\nfalls.\n\nAnd you", stop)
    assert "".join(pieces) == tail.text == shown
    assert tail.stopped == (not shown.endswith("you"))


def test_a_stop_string_of_the_prompt_is_none() -> None:
    assert written("ab", ["so"], given="so: ")[1].text == "ab"
    assert written(" ab", ["o a"], given="so")[1].text == " ab"


@pytest.mark.parametrize("beams", [1, 3])
def test_a_search_ends_at_a_stop_string_over_the_borders_of_tokens(beams: int) -> None:
    config = small(initialization=0.3)
    model = shaken(build(config))
    free = SamplingConfig(temperature=0, beams=beams)
    (all_of_it,) = write_all(model, config, [[1, 2]], free, 12)
    stop = all_of_it.text[4:7]
    assert stop not in all_of_it.text[:6]
    (cut,) = write_all(
        model,
        config,
        [[1, 2]],
        SamplingConfig(temperature=0, beams=beams, stop=("no such", stop), length_penalty=1.0),
        12,
    )
    if beams == 1:
        assert (cut.text, cut.end) == (all_of_it.text[:4], "stop string")
        assert cut.tokens == all_of_it.tokens[:7]
    assert stop not in cut.text
    assert cut.end in ("stop string", "length")
