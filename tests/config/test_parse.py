from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.help import describe, keys
from dslm.config.parse import STRICT, parse
from dslm.errors import ConfigError


@dataclass(config=STRICT, frozen=True, kw_only=True)
class Wheel:
    """A wheel."""

    spokes: Annotated[int, Field(ge=3)]
    """How many spokes."""
    metal: Literal["steel", "brass"] = "steel"
    """What it is made of."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class Cart:
    """A cart."""

    wheel: Wheel
    """Its wheel."""
    name: str | dict[str, float]
    """What it is called; two lines of meaning are one."""
    speed: Annotated[float, Field(gt=0, lt=10)] | None = None
    """Metres a second."""
    open: bool = True
    """Whether it has no roof."""


GOOD: dict[str, Any] = {"wheel": {"spokes": 8}, "name": "a"}


def problems(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        parse(Cart, {**GOOD, **changes})
    return [str(problem) for problem in error.value.problems]


def test_right_values_become_a_frozen_object() -> None:
    cart = parse(Cart, GOOD)
    assert cart == Cart(wheel=Wheel(spokes=8), name="a", speed=None, open=True)
    with pytest.raises(AttributeError):
        cart.open = False  # type: ignore[misc]


def test_a_whole_number_may_stand_for_any_number() -> None:
    assert parse(Cart, {**GOOD, "speed": 3}).speed == 3.0


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"wheel": {"spokes": "8"}},
            "wheel.spokes = '8': must be a whole number; write wheel.spokes=8",
        ),
        ({"wheel": {"spokes": True}}, "wheel.spokes = True: must be a whole number"),
        (
            {"wheel": {"spokes": 8.0}},
            "wheel.spokes = 8.0: must be a whole number; write wheel.spokes=8",
        ),
        ({"wheel": {"spokes": 8.5}}, "wheel.spokes = 8.5: must be a whole number"),
        ({"wheel": {"spokes": 2}}, "wheel.spokes = 2: must be at least 3"),
        ({"wheel": 3}, "wheel = 3: must be a group of keys; write wheel.spokes=…"),
        (
            {"wheel": {"spokes": 8, "metal": "brss"}},
            "wheel.metal = 'brss': must be one of 'steel' or 'brass'; did you mean 'brass'?",
        ),
        ({"name": 5}, "name = 5: must be text or {text: a number}; write name='\"5\"'"),
        ({"open": "False"}, "open = 'False': must be true or false; write open=false"),
        ({"open": 1}, "open = 1: must be true or false; write open=true"),
        ({"speed": "None"}, "speed = 'None': must be a number or null; write speed=null"),
        ({"speed": 0}, "speed = 0: must be greater than 0.0"),
        ({"speed": 10}, "speed = 10: must be less than 10.0"),
        ({"speed": float("nan")}, "speed = nan: must be a finite number"),
        ({"colour": 1}, "colour = 1: unknown key; see --help for every key"),
        ({"spokes": 1}, "spokes = 1: unknown key; did you mean 'wheel.spokes'?"),
        ({"wheel": {"spokes": 8, "metall": 1}}, "did you mean 'wheel.metal'?"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_cure(changes: dict[str, Any], line: str) -> None:
    (problem,) = problems(**changes)
    assert problem.endswith(line)


def test_every_mistake_is_reported_at_once() -> None:
    lines = problems(wheel={"metal": "tin", "size": 3}, speed=-1, open=None)
    assert [line.partition(" ")[0].rstrip(":") for line in lines] == [
        "wheel.spokes",
        "wheel.metal",
        "wheel.size",
        "speed",
        "open",
    ]


def test_a_missing_group_is_asked_for_by_its_first_key() -> None:
    with pytest.raises(ConfigError, match=r"wheel\.spokes: is required; add wheel\.spokes=…"):
        parse(Cart, {"name": "a"})


def test_help_has_every_key_with_type_default_and_meaning() -> None:
    text = describe(Cart, {"wheel": {"spokes": 12}})
    assert text.splitlines() == [
        "  wheel.spokes  (a whole number; default 12)",
        "      How many spokes.",
        "  wheel.metal  (steel | brass; default steel)",
        "      What it is made of.",
        "  name  (text or {text: a number}; required)",
        "      What it is called; two lines of meaning are one.",
        "  speed  (a number or null; default null)",
        "      Metres a second.",
        "  open  (true or false; default true)",
        "      Whether it has no roof.",
    ]


def test_keys_know_their_options() -> None:
    assert keys(Cart)["wheel.metal"].options == ("steel", "brass")
