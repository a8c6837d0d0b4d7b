"""Text to text learned by small models: written, scored, exported."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest
from helpers.letters import write_letters
from helpers.untrained import learned_run
from transformers import AutoModelForCausalLM, AutoTokenizer

from dslm.commands.main import dispatch
from dslm.config.parse import parse
from dslm.errors import UserError
from dslm.hub.exporting import export_run
from dslm.inference.sampling import WritingConfig
from dslm.inference.scoring import score
from dslm.inference.trained import load
from dslm.shards.shard_set import ShardSet
from dslm.tasks.coder import Coder
from dslm.tasks.example_set import Labelling, example_set
from dslm.tasks.text_to_text import TextToText, TextToTextConfig
from dslm.tokenizers.load import load_tokenizer

LAYOUTS = ("one text", "prefix", "two stacks")
WORDS = ["".join(word) for size in (1, 2, 3) for word in itertools.product("abcde", repeat=size)]
REVERSED = [
    {"source": word, "target": word[::-1]} for word in random.Random(0).sample(WORDS, len(WORDS))
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_letters(tmp_path_factory.mktemp("letters") / "tokenizer")


STEPS = {"one text": (150, 5e-3), "prefix": (150, 5e-3), "two stacks": (350, 3e-3)}
"""With which rate each is learned."""


@pytest.fixture(scope="module", params=LAYOUTS)
def learned(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    tokenizer: Path,
    deepspeed_file: Path,
) -> tuple[Path, Path]:
    """A run that has learned to write letters in reverse, and its records."""
    folder, layout = tmp_path_factory.mktemp("reversed"), request.param
    (folder / "records.jsonl").write_text("\n".join(map(json.dumps, REVERSED)))
    words = ["objective.kind=text_to_text", "model.sequence=12"]
    words += ["model.encoder_layers=1"] * (layout == "two stacks")
    words += ["objective.text_to_text.prefix=true"] * (layout == "prefix")
    config = parse(TextToTextConfig, {"prefix": layout == "prefix"})
    coder = Coder(load_tokenizer(tokenizer), False, 12, two_stacks=layout == "two stacks")
    how = Labelling(TextToText, config, coder)
    shards = example_set(folder / "records.jsonl", folder / "set", how)
    steps, rate = STEPS[layout]
    run = learned_run(folder / "run", shards.folder, deepspeed_file, *words, steps=steps, rate=rate)
    return run, folder / "records.jsonl"


def test_what_was_learned_is_written_scored_and_shown(
    learned: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, records = learned
    words = ["evaluate", str(run), "--data", str(records), "--json"]
    dispatch([*words, "--predictions", str(tmp_path / "p"), "--batch", "7"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    lines = [json.loads(line) for line in (tmp_path / "p").read_text().splitlines()]
    assert [line["source"] for line in lines] == [one["source"] for one in REVERSED]
    assert [line["label"] for line in lines] == [one["target"] for one in REVERSED]
    right = np.mean([line["predicted"] == line["label"] for line in lines])
    assert right == 1.0
    assert found["exact_match"] == 1.0
    assert found["chrf"] == 100.0
    assert "nrefs:1" in found["chrf_signature"]
    assert found["loss"] < 0.2
    dispatch([*words, "--beams", "3", "--max-new-tokens", "2"])
    beams = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert beams["exact_match"] < 1.0  # three letters and the end are four tokens
    dispatch(["generate", str(run), "--prompt", "bca", "--temperature", "0"])
    assert capsys.readouterr().out == "acb\n"


def test_what_does_not_go_is_refused(learned: tuple[Path, Path], shard_set: Path) -> None:
    run, records = learned
    with pytest.raises(UserError, match=r"has 1[34] tokens: a source of this model has 1 to 1"):
        dispatch(["generate", str(run), "--prompt", "a" * 13])
    with pytest.raises(UserError, match="its source is empty"):
        dispatch(["generate", str(run)])
    with pytest.raises(UserError, match=r"gives a text no probability|does not continue a text"):
        dispatch(["inspect", "memory", str(run), "--data", str(shard_set)])
    with pytest.raises(UserError, match="--batch = 0: must be at least 1"):
        dispatch(["evaluate", str(run), "--data", str(records), "--batch", "0"])


def test_a_text_is_written_alike_alone_and_among_others(learned: tuple[Path, Path]) -> None:
    trained, shards = load(learned[0]), ShardSet.open(learned[0].parent / "set")
    alone, together = (
        score(trained, trained.objective, shards, (), None, WritingConfig(together=count))
        for count in (1, 40)
    )
    assert alone.predictions == together.predictions


@pytest.mark.parametrize("format", ["floats", "gguf"])
@pytest.mark.parametrize("learned", ["prefix"], indirect=True)
def test_a_stack_that_sees_sources_whole_is_no_causal_model(
    learned: tuple[Path, Path], format: str, tmp_path: Path
) -> None:
    said = "objective.text_to_text.prefix = True: here one stack sees a source whole"
    with pytest.raises(UserError, match=said):
        dispatch(["hub", "export", str(learned[0]), str(tmp_path / "out"), "--format", format])
    with pytest.raises(UserError, match=said):
        export_run(learned[0], tmp_path / "out", format=format)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("learned", ["one text"], indirect=True)
def test_an_export_writes_the_same_in_transformers(
    learned: tuple[Path, Path], tmp_path: Path
) -> None:
    dispatch(["hub", "export", str(learned[0]), str(tmp_path / "out")])
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    asked = tokenizer("bca</s>", return_tensors="pt")
    written = model.generate(asked.input_ids, do_sample=False, max_new_tokens=6)
    behind = written[0, asked.input_ids.shape[1] :]
    assert tokenizer.decode(behind, skip_special_tokens=True) == "acb"
