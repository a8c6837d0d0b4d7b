"""A look inside encoder–decoders and models of classes: what `transformers` and autograd say."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.encoder_decoders import THEIRS, pair
from helpers.untrained import learned_run, untrained_run

from dslm.commands import inspect as command
from dslm.commands.cli import run
from dslm.inference.trained import load
from dslm.inspection.look import look
from dslm.inspection.row import Row, row_of
from dslm.tasks.coder import Coder
from dslm.tasks.example_set import Labelling, example_set
from dslm.tasks.registry import TASKS
from dslm.tokenizers.load import load_tokenizer

SOURCE, TARGET = (5, 25, 31, 9, 44), (3, 7, 60, 61)
TEXTS = ["1 plus 1 is 2", "7 is 7", "2 plus 5", "plus is"]


@pytest.fixture(scope="module")
def two_stacks(
    tmp_path_factory: pytest.TempPathFactory, shard_set: Path, deepspeed_file: Path
) -> Path:
    folder = tmp_path_factory.mktemp("two") / "run"
    more = ["objective.kind=denoising", "model.encoder_layers=2"]
    return untrained_run(folder, shard_set, deepspeed_file, *more, factor=3.0)


@pytest.mark.parametrize("kind", THEIRS)
def test_each_stack_looks_at_what_transformers_says(kind: str, two_stacks: Path) -> None:
    shape, ours, theirs = pair(kind)
    trained = load(two_stacks)
    trained = replace(trained, model=ours.eval(), config=replace(trained.config, model=shape))
    row = Row(TARGET, tuple(range(1, len(TARGET))), source=SOURCE)
    found = look(trained, row, target=11)

    theirs.set_attn_implementation("eager")
    source, ids = torch.tensor([SOURCE]), torch.tensor([TARGET])
    with torch.no_grad():
        wanted = theirs(input_ids=source, decoder_input_ids=ids, output_attentions=True)
    parts = wanted.cross_attentions, wanted.decoder_attentions, wanted.encoder_attentions
    for mine, their in zip(found.attention, parts, strict=True):
        assert mine.weights.shape == torch.cat(their).shape
        assert float((mine.weights - torch.cat(their)).abs().max()) <= 1e-5
    logs = wanted.logits[0].log_softmax(-1)
    bits = [-float(logs[n - 1, TARGET[n]]) / math.log(2) for n in range(1, len(TARGET))]
    assert found.bits[0] is None
    assert found.bits[1:] == pytest.approx(bits, abs=1e-4)
    assert found.target.probability == pytest.approx(float(logs[-1, 11].exp()), abs=1e-6)


@pytest.mark.parametrize("kind", THEIRS)
def test_saliency_is_the_gradient_along_both_texts(kind: str, two_stacks: Path) -> None:
    shape, ours, theirs = pair(kind)
    trained = load(two_stacks)
    trained = replace(trained, model=ours.eval(), config=replace(trained.config, model=shape))
    found = look(trained, Row(TARGET, (), source=SOURCE), target=11)
    table, vectors = theirs.get_input_embeddings(), []
    for ids in (SOURCE, TARGET):
        vectors.append(table(torch.tensor([ids])).detach().requires_grad_())
    scores = theirs(inputs_embeds=vectors[0], decoder_inputs_embeds=vectors[1]).logits
    gradients = torch.autograd.grad(scores[0, -1].log_softmax(-1)[11], vectors)
    parts = [(a * b).sum(-1)[0].tolist() for a, b in zip(gradients, vectors, strict=True)]
    assert found.source_saliency == pytest.approx(parts[0], abs=1e-5)
    assert found.saliency == pytest.approx(parts[1], abs=1e-5)


def test_the_page_of_two_stacks_shows_one_after_the_other(
    two_stacks: Path, opened: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command.main, [str(two_stacks), "--text", "1 plus <mask> is 2"]) == 0
    page = opened(two_stacks)
    stacks = page.locator("[name=stack]")
    for name in ("from target to source", "within the source", "within the target"):
        stacks.select_option(label=name)
        layers = page.locator("[name=layer] option").count()
        assert layers == (2 if "the source" in name else 1)
        rollouts = page.locator("[name=head] option[value=rollout]").count()
        assert rollouts == (0 if name.startswith("from") else 1)
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 400


@pytest.fixture(scope="module", params=["one", "several", "tagging"])
def classes(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shard_set: Path,
    deepspeed_file: Path,
) -> tuple[str, Path]:
    """A model of classes that has learned a little."""
    folder, tagging = tmp_path_factory.mktemp(request.param), request.param == "tagging"
    kind = "tagging" if tagging else "classification"
    records = []
    for text in TEXTS * 20:
        words = text.split()
        label: Any = ["long"] * (len(words) > 2) + ["two"] * ("2" in words)
        if request.param == "one":
            label = "two" if "2" in words else "none"
        tags = ["B-number" if word.isdigit() else "O" for word in words]
        records.append({"text": text, "label": label, "words": words, "tags": tags})
    (folder / "data.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records))
    settings = TASKS[kind].config() if tagging else TASKS[kind].config(labels=request.param)
    coder = Coder(load_tokenizer(shard_set / "tokenizer"), False, 24)
    how = Labelling(TASKS[kind], settings, coder)
    data = example_set(folder / "data.jsonl", folder / "set", how).folder
    more = [f"objective.kind={kind}"]
    more += [] if tagging else [f"objective.classification.labels={request.param}"]
    return request.param, learned_run(folder / "run", data, deepspeed_file, *more, steps=40)


def test_classes_are_shown_where_they_are_predicted(
    classes: tuple[str, Path], opened: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, folder = classes
    trained = load(folder)
    row = row_of(TEXTS[0], trained.tokenizer, trained.objective)
    names = {"tagging": ("O", "B-number"), "one": ("none", "two")}.get(labels, ("long", "two"))
    found = look(trained, row, classes=names)
    with torch.no_grad():
        scores = trained.model(torch.tensor([row.ids]))[0]
    logs = torch.nn.functional.logsigmoid(scores)
    logs = logs if labels == "several" else scores.log_softmax(-1)
    assert len(row.asked) == (5 if labels == "tagging" else 1)
    for place in row.asked:
        best = int(logs[place].argmax())
        assert found.lens[-1][place].piece == names[best]
        assert found.lens[-1][place].probability == pytest.approx(float(logs[place, best].exp()))
    surest = logs[list(row.asked)].max(1).values
    assert found.position == row.asked[int(surest.argmax())]
    assert run(command.main, [str(folder), "--text", TEXTS[0], "--target", names[1]]) == 0
    page = opened(folder)
    assert page.locator("#answers .tokens small").count() == len(row.asked)
    assert page.locator(".piece").inner_text() == names[1]
    assert page.locator("h2").all_inner_texts()[0].startswith("Predictions")
    capsys.readouterr()
    assert run(command.main, [str(folder), "--text", TEXTS[0], "--target", "nobody"]) == 2
    assert "--target = 'nobody': is no class" in capsys.readouterr().err
    assert run(command.main, [str(folder), "--text", TEXTS[0], "--second", "1"]) == 2
    assert "--second: is 2 texts, but the model reads 1" in capsys.readouterr().err


def test_an_answer_is_shown_where_it_begins_and_ends(
    tmp_path: Path, shard_set: Path, deepspeed_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, records = "1 plus 5 is 6", list[Any]()
    for number in range(20):
        answer = {"text": "6", "answer_start": text.index("6")}
        asked = {"id": str(number), "question": "5 is", "context": text, "answers": [answer]}
        records.append(asked)
    (tmp_path / "data.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records))
    coder = Coder(load_tokenizer(shard_set / "tokenizer"), False, 24)
    how = Labelling(TASKS["questions"], TASKS["questions"].config(), coder)
    data = example_set(tmp_path / "data.jsonl", tmp_path / "set", how).folder
    more = ["objective.kind=questions"]
    folder = learned_run(tmp_path / "run", data, deepspeed_file, *more, steps=30)
    trained = load(folder)
    row = row_of("5 is", trained.tokenizer, trained.objective, second=text)
    found = look(trained, row, classes=("start", "end"))
    with torch.no_grad():
        shares = trained.model(torch.tensor([row.ids]))[0].softmax(0)
    best = shares[list(row.asked)].max()
    assert found.target.probability == pytest.approx(float(best), abs=1e-6)
    assert found.tokens[found.position] == "6"
    words = [str(folder), "--text", "5 is", "--target", "end"]
    assert run(command.main, [*words, "--second", text]) == 0
    assert '<b class="piece">end</b>' in (folder / command.PAGE).read_text()
    assert run(command.main, words) == 2
    assert "the model reads a question and a text" in capsys.readouterr().err


def test_a_tagger_that_has_learned_from_spans_is_asked_for_every_unit(
    tmp_path: Path, shard_set: Path, deepspeed_file: Path
) -> None:
    text, tokenizer = "17 plus 5 is 22", load_tokenizer(shard_set / "tokenizer")
    one = {"text": text, "spans": [[0, 2, "number"], [8, 9, "number"]]}
    (tmp_path / "data.jsonl").write_text(f"{json.dumps(one)}\n" * 20)
    how = Labelling(TASKS["tagging"], TASKS["tagging"].config(), Coder(tokenizer, False, 24))
    data = example_set(tmp_path / "data.jsonl", tmp_path / "set", how).folder
    more = ["objective.kind=tagging"]
    trained = load(learned_run(tmp_path / "run", data, deepspeed_file, *more, steps=0))
    row = row_of(text, tokenizer, trained.objective)
    wanted = [place for place, letter in enumerate(text) if letter != " "]
    assert [place - len(tokenizer.begin) for place in row.asked] == wanted
