"""Training with rounded weights and inputs: at every layout, from any step, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

pytestmark = pytest.mark.ranks

STEPS = 20
LAYOUTS = {"ZeRO-0": (2, 0, 1), "ZeRO-1": (2, 1, 1), "ZeRO-2": (2, 2, 1), "ZeRO-3": (2, 3, 1)}
LAYOUTS |= {"pipeline": (2, 1, 2)}
"""Ranks, ZeRO stage and pipeline stages."""
SCHEMES = {
    "w8a8": ["quantization.scheme=w8a8"],
    "w4a8": ["quantization.scheme=w4a8", "quantization.group_size=15"],
    "w2": ["quantization.scheme=w2", "quantization.group_size=15"],
}


def nudged(_: int) -> None:
    """Have a rank draw weights that differ in their last digits."""
    from dslm.model import initial

    drawn = initial.numbers

    def numbers(*given: Any) -> Any:
        made = drawn(*given)
        return made * (1 + 1e-7 * made.sign() * (made.abs() * 1e6 % 2 - 1))

    initial.numbers = numbers  # type: ignore[assignment]
    from dslm.model import stages

    stages.numbers = numbers  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def references(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> dict[str, tuple[Ended, float]]:
    """One rank of each scheme, and how far it gets from itself when its weights are nudged."""
    found = {}
    for scheme, more in SCHEMES.items():
        folder = tmp_path_factory.mktemp(scheme)
        arguments = [*words, *more, f"steps={STEPS}"]
        one = launch(folder / "one", arguments, deepspeed(), 1)
        other = launch(folder / "nudged", arguments, deepspeed(), 1, prepare=nudged)
        assert (one.code, other.code) == (0, 0), one.messages + other.messages
        found[scheme] = (one, apart(one, other))
    return found


def apart(one: Ended, other: Ended) -> float:
    pairs = zip(one.metrics(), other.metrics(), strict=True)
    return max(abs(a - b) for a, b in pairs)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_layout_is_no_farther_away_than_a_nudge(
    scheme: str,
    layout: str,
    references: dict[str, tuple[Ended, float]],
    words: list[str],
    tmp_path: Path,
) -> None:
    """Rounding makes steps of what else would be noise in the last digit."""
    ranks, stage, pipeline = LAYOUTS[layout]
    more = [*SCHEMES[scheme], f"steps={STEPS}", f"pipeline_stages={pipeline}"]
    ended = launch(tmp_path / "run", [*words, *more], deepspeed(stage), ranks)
    assert ended.code == 0, ended.messages
    one, noise = references[scheme]
    assert ended.metrics()[0] == pytest.approx(one.metrics()[0], abs=1e-5)
    assert noise > 0
    print(f"{scheme} {layout}: {apart(one, ended):.1e}, nudged {noise:.1e}")
    assert apart(one, ended) <= 2 * noise


@pytest.mark.parametrize("layout", ["ZeRO-3", "pipeline"])
def test_floats_are_measured_beside_and_how_far_rounding_goes(
    layout: str, words: list[str], shards: Path, tmp_path: Path
) -> None:
    words = [word for word in words if not word.startswith("evaluation_interval")]
    words += [f"data.validation={shards}", "evaluation_interval=2", "steps=4", *SCHEMES["w2"]]
    words += ["quantization.start_step=2", "log_interval=1"]
    ranks, stage, pipeline = LAYOUTS[layout]
    found = [
        launch(tmp_path / "one", words, deepspeed(), 1),
        launch(tmp_path / "two", [*words, f"pipeline_stages={pipeline}"], deepspeed(stage), ranks),
    ]
    for key, count in (
        ("validation_loss", 2),
        ("validation_float_loss", 1),
        ("rounding_error", 2),
    ):
        one, two = (ended.metrics(key) for ended in found)
        assert len(one) == count, key
        assert two == pytest.approx(one, rel=1e-3), key
    rounded, floats = (found[1].metrics(f"validation_{k}loss")[-1] for k in ("", "float_"))
    assert abs(rounded - floats) > 1e-5
    assert f"as floats {found[0].metrics('validation_float_loss')[0]:.4f}" in found[0].messages
    assert 0.1 < found[0].metrics("rounding_error")[0] < 1


def test_rounding_begins_at_its_step_and_a_resume_is_exact(
    words: list[str], tmp_path: Path
) -> None:
    more = ["checkpoint_interval=4", "schedule.kind=constant", "schedule.warmup_steps=0"]
    words = [*words, *more]
    late = [*SCHEMES["w4a8"], "quantization.start_step=6"]
    plain = launch(tmp_path / "plain", [*words, "steps=12"], deepspeed(), 1)
    whole = launch(tmp_path / "whole", [*words, *late, "steps=12"], deepspeed(), 1)
    assert (plain.code, whole.code) == (0, 0), whole.messages
    assert whole.metrics()[:6] == plain.metrics()[:6]
    assert whole.metrics()[6:] != plain.metrics()[6:]
    for steps in (7, 9, 12):
        part = launch(tmp_path / "parts", [*words, *late, f"steps={steps}"], deepspeed(), 1)
        assert part.code == 0, part.messages
    assert part.metrics() == whole.metrics()
    assert "quantize w4a8: 4-bit weights, groups of 15, 8-bit inputs" in whole.messages
    assert "from step 7" in whole.messages
    changed = [*words, "quantization.scheme=w8a8", "steps=16"]
    refused = launch(tmp_path / "whole", changed, deepspeed(), 1)
    assert refused.code == 2
    assert "quantization.scheme = 'w8a8': the run in this folder has 'w4a8'" in refused.messages


def test_float_weights_go_on_rounded_and_rounded_ones_as_floats(
    words: list[str], tmp_path: Path
) -> None:
    """A checkpoint holds the floats, so that a run may begin with those of either kind."""
    first = launch(tmp_path / "float", [*words, "steps=4"], deepspeed(), 1)
    begun = [*words, f"init_from={first.folder}", *SCHEMES["w4a8"], "steps=4"]
    second = launch(tmp_path / "rounded", begun, deepspeed(), 1)
    back = launch(
        tmp_path / "back", [*words, f"init_from={second.folder}", "steps=4"], deepspeed(), 1
    )
    assert [run.code for run in (first, second, back)] == [0, 0, 0], second.messages
    files = [sorted((run.folder / "checkpoints/step-00000004").iterdir()) for run in (first, back)]
    assert [file.name for file in files[0]] == [file.name for file in files[1]]
    state = json.loads((second.folder / "run.json").read_text())["config"]["quantization"]
    assert state["scheme"] == "w4a8"
