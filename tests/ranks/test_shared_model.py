"""A model that two ranks hold together says what it says on one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.launching import Ended, together
from helpers.untrained import untrained_run

from dslm.commands.main import dispatch

pytestmark = pytest.mark.ranks
KINDS = {
    "rotary": ["model.positions=rotary", "model.layers=3"],
    "untied recurrent": [
        "model.block=gru",
        "model.heads=null",
        "model.tied=false",
        "model.layers=3",
    ],
    "masked": ["objective.kind=masked", "model.transform=true", "model.layers=2"],
    "two stacks": ["objective.kind=denoising", "model.encoder_layers=2", "model.layers=2"],
}
PROMPTS = {"masked": "1 plus <mask> is 2", "two stacks": "1 plus <mask> is 2"}


@pytest.fixture(scope="module", params=KINDS)
def run(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shard_set: Path,
    deepspeed_file: Path,
) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("shared") / "run"
    words = KINDS[request.param]
    return request.param, untrained_run(folder, shard_set, deepspeed_file, *words, factor=4.0)


def by_two(name: str, arguments: list[str], folder: Path) -> Ended:
    ended = together(name, arguments, folder, 2)
    assert ended.code == 0, ended.messages
    return ended


def test_losses_and_texts_are_those_of_one_rank(
    run: tuple[str, Path], shard_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, folder = run
    evaluate = [str(folder), "--data", str(shard_set), "--json"]
    prompt = PROMPTS.get(kind, "1 plus")
    more = [] if kind == "masked" else ["--max-new-tokens", "30", "--temperature", "0"]
    write = [str(folder), "--prompt", prompt, "--json", *more]
    found: dict[str, Any] = {}
    for name, words in (("evaluate", evaluate), ("generate", write)):
        dispatch([name, *words])
        found[name] = json.loads(capsys.readouterr().out)
        ended = by_two(name, words, tmp_path / name)
        (line,) = ended.results.splitlines()
        other = json.loads(line)
        assert other.keys() == found[name].keys()
        for key, value in found[name].items():
            same = pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
            assert other[key] == same, key
    assert found["evaluate"]["loss"] > 0
    assert len(found["generate"]["text"]) > 2


def test_several_texts_go_on_together_and_mistakes_are_told_once(
    tmp_path: Path, shard_set: Path, deepspeed_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = untrained_run(
        tmp_path / "run", shard_set, deepspeed_file, "model.layers=2", factor=4.0
    )
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("1 plus\n7 is 7 is 7\n5\n")
    words = [str(folder), "--prompts", str(prompts), "--beams", "3", "--max-new-tokens", "40"]
    dispatch(["generate", *words, "--output", str(tmp_path / "one.jsonl")])
    capsys.readouterr()
    by_two("generate", [*words, "--output", str(tmp_path / "two.jsonl")], tmp_path / "g")
    one, two = ((tmp_path / f"{name}.jsonl").read_text().splitlines() for name in ("one", "two"))
    assert len(one) == 3
    for mine, other in zip(map(json.loads, one), map(json.loads, two), strict=True):
        assert mine["text"] == other["text"]
    ended = together("evaluate", [str(folder), "--data", "nowhere"], tmp_path / "e", 3)
    assert ended.code == 2
    assert ended.messages.count("error: ranks = 3: cannot share a model of 2 blocks") == 1
    assert ended.messages.count("error: --data") == 1
