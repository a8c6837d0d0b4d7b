"""The page about a look inside, in a browser; and what the command refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.pages import Page as Strict
from helpers.untrained import learned_run, untrained_run

from dslm.commands import inspect as command
from dslm.commands.cli import run
from dslm.inference.trained import load
from dslm.inspection.attention import Attention
from dslm.inspection.look import Look, look
from dslm.inspection.page import packed, render, shown
from dslm.inspection.row import row_of

TEXT = "12 plus 12 is 24."


@pytest.fixture(scope="module")
def runs(tmp_path_factory: Any, shard_set: Path, deepspeed_file: Path) -> dict[str, Path]:
    """A causal and a masked model that have learned a little."""
    folder = tmp_path_factory.mktemp("runs")
    causal = learned_run(folder / "causal", shard_set, deepspeed_file)
    more = ["objective.kind=masked", "model.transform=true"]
    return {"causal": causal, "masked": learned_run(folder / "m", shard_set, deepspeed_file, *more)}


def found_by(folder: Path) -> Look:
    trained = load(folder)
    return look(trained, row_of(TEXT, trained.tokenizer, trained.objective))


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_the_pointer_reads_weights_of_every_head(
    kind: str, runs: dict[str, Path], opened: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs[kind]
    assert run(command.main, [str(folder), "--text", TEXT]) == 0
    assert capsys.readouterr().out == f"{folder / command.PAGE}\n"
    found, page = found_by(folder), opened(folder)
    size = len(found.tokens)
    row, column = (size - 1, 4)
    page.locator("[name=layer]").select_option(label="2")
    (seen,) = found.attention
    assert seen.rollout is not None
    wanted = {"mean of all": seen.weights[1].mean(0), "rollout up to this layer": seen.rollout[1]}
    for head in (0, 1):
        wanted[str(head + 1)] = seen.weights[1, head]
    box = page.locator(".matrix")
    for choice, weights in wanted.items():
        page.locator("[name=head]").select_option(label=choice)
        side = box.bounding_box()["width"] / size
        box.hover(position={"x": side * (column + 0.5), "y": side * (row + 0.5)})
        text = page.locator("output").inner_text()
        tokens = [shown(found.tokens[place]) for place in (row, column)]
        assert text.startswith(f"{tokens[0]} → {tokens[1]}: ")
        value = float(text.split(": ")[1].split()[0])
        assert value == pytest.approx(float(weights[row, column]), abs=0.5 / 255 + 0.0005)
    box.focus()
    page.keyboard.press("ArrowUp")
    assert f"(token {row} → {column + 1})" in page.locator("output").inner_text()
    page.get_by_role("button", name="layer 1, head 2").click()
    assert page.locator("[name=layer]").input_value() == "0"
    assert page.locator("[name=head]").input_value() == "1"


def test_the_page_fits_a_phone_and_draws_in_both_colours(
    runs: dict[str, Path], opened: Any
) -> None:
    run(command.main, [str(runs["causal"]), "--text", TEXT])
    page = opened(runs["causal"])
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    corner = """c => {
        const copy = document.createElement("canvas").getContext("2d");
        copy.drawImage(c, 0, 0);
        return [...copy.getImageData(0, 0, 1, 1).data];
    }"""
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(100)
        colours.append(page.locator(".matrix canvas").evaluate(corner))
    assert colours[0] != colours[1]
    assert [colour[3] for colour in colours] == [255, 255], "the first token sees but itself"


def test_the_page_is_one_whole_file_of_some_kilobytes(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    seen = found_by(runs["causal"])
    torch.manual_seed(0)
    weights = torch.randn(4, 4, 64, 64).softmax(-1)
    guess = seen.target
    words = ["word"] * 64
    shown = Attention("", words, words, weights, True, weights[:, 0])
    wide = Look("next", words, [9.5] * 64, (shown,), [[guess] * 64] * 5, 63, guess, [0.1] * 64)
    page = tmp_path / "page.html"
    page.write_text(render(wide, "run", ["step 1"]))
    assert page.stat().st_size <= 100_000
    assert Strict(page).links == []
    assert len(packed(weights, causal=False)) > len(packed(weights, causal=True))


@pytest.mark.parametrize(
    ("more", "text", "rule"),
    [
        (
            ["model.block=lstm", "model.heads=null", "model.positions=none"],
            TEXT,
            "has no attention",
        ),
        (
            ["objective.kind=autoencoder", "model.bottleneck_length=4"],
            TEXT,
            "gives a text no probability",
        ),
        (["objective.kind=denoising"], TEXT, "gives a text no probability"),
        ([], "1" * 25, "gives 25 tokens, but the model's window has 24"),
        ([], "é", "is not among the 17 characters of the tokenizer; leave it out of --text"),
        ([], "1", "holds no token to predict; give a longer text"),
    ],
)
def test_what_cannot_be_looked_at_is_reported(
    more: list[str],
    text: str,
    rule: str,
    tmp_path: Path,
    shard_set: Path,
    deepspeed_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = untrained_run(tmp_path / "run", shard_set, deepspeed_file, *more)
    assert run(command.main, [str(folder), "--text", text]) == 2
    assert rule in capsys.readouterr().err


def test_a_target_is_one_token(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(runs["causal"]), "--text", TEXT, "--target"]
    assert run(command.main, [*words, "24"]) == 2
    assert "--target = '24': is 2 tokens, not one" in capsys.readouterr().err
    assert run(command.main, [*words, "9"]) == 0
    assert '<b class="piece">9</b>' in (runs["causal"] / command.PAGE).read_text()
