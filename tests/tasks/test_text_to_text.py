"""Text to text: what is learned of a record, and which records and settings cannot be used."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.encoder_decoders import EXTRAS, pair
from helpers.letters import write_letters
from helpers.objective_kinds import mean_loss
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from dslm.config.parse import parse
from dslm.hub.importing import import_folder
from dslm.inference.prompts import check_prompt
from dslm.inference.trained import load
from dslm.model.config import ModelConfig
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.base import Context
from dslm.objectives.batch import IGNORE
from dslm.sampling.stream import Samples, ordered
from dslm.shards.shard_set import ShardSet
from dslm.tasks.coder import Coder
from dslm.tasks.example import UnusableError
from dslm.tasks.example_set import Labelling, example_set
from dslm.tasks.registry import ObjectiveConfig, check_objective
from dslm.tasks.text_to_text import TextToText, TextToTextConfig
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.pair_frame import PairFrame
from dslm.tokenizers.vocabulary import Vocabulary

LAYOUTS = ("one text", "prefix", "two stacks")
SEQUENCE = 16
RECORDS = [{"source": "abc", "target": "cba"}, {"source": "a", "target": "dddd"}]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_letters(tmp_path_factory.mktemp("letters") / "tokenizer")


@pytest.fixture
def task(tokenizer: Path) -> Callable[..., TextToText]:
    """Makes the task: ``task(layout)``."""

    def make(layout: str, trimmed: bool = True, **settings: Any) -> TextToText:
        load_tokenizer(tokenizer).save(tokenizer)
        vocabulary = Vocabulary.load(tokenizer)
        two = layout == "two stacks"
        context = Context(SEQUENCE, 0, False, vocabulary, trimmed=trimmed, two_stacks=two)
        config = parse(TextToTextConfig, {"prefix": layout == "prefix", **settings})
        return TextToText(config, context)

    return make


def made(path: Path, records: list[Any], of: TextToText) -> ShardSet:
    path.mkdir(exist_ok=True)
    file = path / "records.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in records))
    tokenizer = load_tokenizer(of.context.vocabulary.folder)
    coder = Coder(tokenizer, False, of.context.sequence, two_stacks=of.context.two_stacks)
    return example_set(file, path / "set", Labelling(TextToText, of.settings, coder))


def letters(of: TextToText, text: str) -> list[int]:
    ids: list[int] = load_tokenizer(of.context.vocabulary.folder).encode([text])[0].tolist()
    return ids


@pytest.mark.parametrize("trimmed", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_loss_is_that_of_the_target_and_its_end_alone(
    layout: str, trimmed: bool, task: Any, tmp_path: Path
) -> None:
    one = task(layout, trimmed)
    samples = ordered(one.source(made(tmp_path, RECORDS, one)), 0, 2)
    inputs, labels = one.batch(samples)
    end = one.completion().frame.end
    wanted = [[*letters(one, record["target"]), end] for record in RECORDS]
    assert [row[row != IGNORE].tolist() for row in labels] == wanted
    torch.manual_seed(0)
    scores = torch.randn(*labels.shape, one.context.vocabulary.size + 2)
    by_hand = F.cross_entropy(scores.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
    assert mean_loss(one, scores.clone(), labels).item() == pytest.approx(by_hand.item(), rel=1e-6)
    tokens = inputs[0] if isinstance(inputs, tuple) else inputs
    assert (tokens.shape[1] == SEQUENCE) is not trimmed


@pytest.mark.parametrize("layout", LAYOUTS)
@torch.no_grad()
def test_width_and_selection_change_no_loss(layout: str, task: Any, tmp_path: Path) -> None:
    shape = {"layers": 2, "heads": 2, "width": 16, "sequence": SEQUENCE, "vocabulary": 40}
    shape["encoder_layers"] = 2 if layout == "two stacks" else 0
    losses = []
    for trimmed in (True, False):
        one = task(layout, trimmed)
        model = Transformer(stages(ModelConfig(**shape), 1, one.extras)).eval()
        samples = ordered(one.source(made(tmp_path, RECORDS, one)), 0, 2)
        inputs, labels = one.batch(samples)
        losses.append(mean_loss(one, model(inputs), labels).item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


@torch.no_grad()
def test_the_loss_is_that_of_t5_in_transformers(task: Any, tmp_path: Path) -> None:
    config, ours, theirs = pair("T5")
    theirs.config.decoder_start_token_id = 0
    one = task("two stacks")
    frame = PairFrame(begin=0, end=1, behind=(1,))
    object.__setattr__(one.context.vocabulary, "pair", frame)
    inputs, labels = one.batch(ordered(one.source(made(tmp_path, RECORDS, one)), 0, 2))
    assert one.extras == EXTRAS
    tokens, seen, _ = inputs
    found = theirs(input_ids=tokens, attention_mask=(seen != 0).long(), labels=labels).loss
    assert mean_loss(one, ours(inputs), labels).item() == pytest.approx(found.item(), abs=1e-5)
    assert config.encoder_layers


@torch.no_grad()
def test_the_loss_is_that_of_gpt2_in_transformers(
    task: Any, tokenizer: Path, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": SEQUENCE, "vocab_size": 40}
    theirs = GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=1, eos_token_id=1)).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    (tmp_path / "theirs/tokenizer.json").write_bytes((tokenizer / "tokenizer.json").read_bytes())
    import_folder(tmp_path / "theirs", tmp_path / "run")
    trained = load(tmp_path / "run")
    one = task("one text")
    ours = Transformer(stages(trained.config.model, 0, one.extras)).eval()
    ours.load_state_dict(trained.model.state_dict())
    shards = made(tmp_path, RECORDS, one)
    inputs, labels = one.batch(ordered(one.source(shards), 0, 2))
    rows, whole = [], []
    for record in RECORDS:
        source, target = letters(one, record["source"]), letters(one, record["target"])
        rows.append([*source, 1, *target, 1])
        whole.append([*[IGNORE] * (len(source) + 1), *target, 1])
    width = max(map(len, rows))
    tokens = torch.tensor([row + [2] * (width - len(row)) for row in rows])
    wanted = torch.tensor([row + [IGNORE] * (width - len(row)) for row in whole])
    found = theirs(input_ids=tokens, labels=wanted).loss
    assert mean_loss(one, ours(inputs), labels).item() == pytest.approx(found.item(), abs=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_source_is_cut_and_a_target_is_not(layout: str, task: Any, tmp_path: Path) -> None:
    record = {"source": "abcdefghijklmnopqrstuvwxyz", "target": "zyx"}
    for side, keeps in (("end", "a"), ("beginning", "z")):
        one = task(layout, cut=side, prompt="A: {source}:")
        shards = made(tmp_path / side, [record], one)
        assert shards.manifest.statistics.changed == {"cut": 1}
        inputs, labels = one.batch(ordered(one.source(shards), 0, 1))
        tokens = (inputs[0] if isinstance(inputs, tuple) else inputs)[0].tolist()
        read = load_tokenizer(one.context.vocabulary.folder).decode(
            [number for number in tokens if number < 36]
        )
        assert read.startswith(f"A: {'a' if side == 'end' else ''}")
        assert keeps in read.partition(":")[2].replace("A", "")
        assert len(tokens) == SEQUENCE
        assert labels[labels != IGNORE].tolist()[:3] == letters(one, "zyx")


@pytest.mark.parametrize("side", ["end", "beginning"])
def test_a_source_of_which_only_blanks_have_room_is_too_long(side: str, task: Any) -> None:
    one = task("one text", cut=side)
    coder = Coder(load_tokenizer(one.context.vocabulary.folder), False, SEQUENCE)
    record = {"source": f"{'':9}{'ab':9}", "target": "a" * 10}
    with pytest.raises(UnusableError, match="its target leaves no room for a source"):
        one.examples(one.settings, record, (), coder)
    (found,) = one.examples(one.settings, {**record, "target": "a" * 5}, (), coder)
    assert found.shortened


@pytest.mark.parametrize("layout", LAYOUTS)
def test_drawn_labels_are_those_of_rows_that_the_model_reads(layout: str, task: Any) -> None:
    one = task(layout, trimmed=False)
    tokens, draws = np.full((2, SEQUENCE), 7, np.uint32), np.random.default_rng(0)
    lengths = np.array([SEQUENCE, SEQUENCE // 2])
    drawn = [one.drawn_labels(draws, 0, length) for length in lengths.tolist()]
    _, labels = one.batch(Samples(tokens, np.arange(2), np.arange(2), lengths, drawn))
    assert ((labels == 7).sum(1) > 1).all()


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("{source}", "is no record: its source is empty; give another text"),
        ("{a}{source}", "is no record: .*; evaluate records with a, or train without it"),
    ],
)
def test_a_prompt_that_is_no_record_says_why(prompt: str, said: str, task: Any) -> None:
    one = task("one text", prompt=prompt)
    tokenizer = load_tokenizer(one.context.vocabulary.folder)
    typed = "b" if "a" in prompt.partition("source")[0] else " "
    model = ModelConfig(layers=1, heads=1, width=8, sequence=SEQUENCE, vocabulary=40)
    (problem,) = check_prompt(typed, model, one, tokenizer, "run")
    assert re.fullmatch(f"--prompt: {said}", str(problem))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"source": None}, "its source is empty"),
    ({"source": " "}, "its source is empty"),
    ({"source": ["a"]}, "its source is no text"),
    ({"target": ""}, "its target is empty"),
    ({"target": []}, "its target is empty"),
    ({"target": ["a", " "]}, "its target is empty"),
    ({"target": {"a": 1}}, "its target is no text"),
    ({"target": "a" * 16}, "its target leaves no room for a source|is longer than the model"),
    ({"tongue": None}, "its tongue is empty"),
    ({"tongue": ["x"]}, "its tongue is no text"),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("change", "reason"), BAD)
def test_a_record_that_cannot_be_used_says_why(
    change: dict[str, Any], reason: str, layout: str, task: Any
) -> None:
    one = task(layout, prompt="{tongue}: {source}")
    tokenizer = load_tokenizer(one.context.vocabulary.folder)
    coder = Coder(tokenizer, False, SEQUENCE, two_stacks=one.context.two_stacks)
    record = {"source": "a", "target": "b", "tongue": "x"}
    assert len(one.examples(one.settings, record, (), coder)) == 1
    with pytest.raises(UnusableError, match=reason):
        one.examples(one.settings, {**record, **change}, (), coder)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"prompt": "A:"}, "objective.text_to_text.prompt"),
        ({"prefix": True, "between": ":"}, "objective.text_to_text.between"),
        ({"records": "chats", "prefix": True, "between": ":"}, "objective.text_to_text.between"),
        ({"records": "chats", "prompt": "A:"}, "objective.text_to_text.prompt"),
        ({"records": "chats", "source": "a", "cut": "end"}, "objective.text_to_text.source"),
        ({"records": "chats", "target": "a"}, "objective.text_to_text.target"),
    ],
)
def test_settings_that_contradict_each_other_are_named(changes: dict[str, Any], where: str) -> None:
    config = parse(ObjectiveConfig, {"kind": "text_to_text", "text_to_text": changes})
    model = ModelConfig(layers=1, heads=1, width=8, sequence=8, vocabulary=9)
    assert [problem.where for problem in check_objective(config, model)] == [where]


def test_examples_made_by_other_settings_are_refused(task: Any, tmp_path: Path) -> None:
    shards = made(tmp_path, RECORDS, task("one text"))
    (problem,) = task("prefix").check_shards(shards)
    assert "objective.text_to_text.prefix" in problem.rule
    (problem,) = task("two stacks").check_shards(shards)
    assert "model.encoder_layers" in problem.rule
    assert not task("one text", metric="exact").check_shards(shards)
