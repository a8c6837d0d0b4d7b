"""Questions on texts: what is learned of them, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.hub import BERT, word_pieces
from helpers.hub import WORDS as HUB_WORDS
from helpers.models import shaken
from helpers.questions import RECORDS, TEXT, how, lines, record, stories
from helpers.untrained import learned_run
from hypothesis import given, settings
from hypothesis import strategies as some
from transformers import BertConfig, BertForPreTraining, BertForQuestionAnswering

from dslm.commands.main import dispatch
from dslm.config.parse import parse
from dslm.environment import World
from dslm.errors import UserError
from dslm.hub.importing import import_folder
from dslm.inference.trained import load
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.base import Context
from dslm.objectives.batch import IGNORE
from dslm.sampling.stream import ordered
from dslm.tasks.example import Example, Prediction
from dslm.tasks.example_set import example_set, summary
from dslm.tasks.passages import BEHIND, CANDIDATE, END, NONE, START, unpacked
from dslm.tasks.questions import Questions
from dslm.tasks.questions_settings import QuestionsConfig
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.tokenizers.vocabulary import Vocabulary
from dslm.train.batches import evaluation_rows
from dslm.train.prepare import prepare


def task(tokenizer: Tokenizer, folder: Path, sequence: int = 40, **more: Any) -> Questions:
    tokenizer.save(folder / "tokenizer")
    vocabulary = Vocabulary.load(folder / "tokenizer")
    context = Context(sequence, 0, False, vocabulary, full=True, trimmed=True)
    return Questions(parse(QuestionsConfig, more), context)


WORDS = some.lists(some.text(alphabet="abcé中1", min_size=1, max_size=4), min_size=1, max_size=40)


def learned(tokenizer: Tokenizer, full: bool, sequence: int, one: Any, **more: Any) -> Any:
    labelling = how(tokenizer, full, sequence, **more)
    return Questions.examples(labelling.settings, one, ("start", "end"), labelling.coder)


@settings(max_examples=150)
@given(
    words=WORDS, data=some.data(), full=some.booleans(), sequence=some.integers(24, 60),
    stride=some.integers(1, 200), longest=some.integers(1, 20)
)  # fmt: skip
def test_the_marked_tokens_of_windows_are_the_answer(
    questioned: Tokenizer,
    words: list[str],
    data: Any,
    full: bool,
    sequence: int,
    stride: int,
    longest: int,
) -> None:
    first = data.draw(some.integers(0, len(words) - 1))
    last = data.draw(some.integers(first, len(words) - 1))
    start = len(" ".join(words[:first])) + (first > 0)
    answer = {"text": " ".join(words[first : last + 1]), "answer_start": start}
    text = " ".join(words)
    one = {"id": "x", "question": "a b?", "context": text, "answers": [answer]}
    found = learned(questioned, full, sequence, one, stride=stride, longest=longest)
    whole = found[0].reference
    spans, ids = unpacked(whole["spans"]), questioned.encode([text])[0].tolist()
    covered = set[int]()
    for window in found:
        flags, begin = np.array(window.labels, int), window.reference["token"]
        assert len(window.ids) == len(flags) <= sequence
        (start_at,), (end_at,) = np.flatnonzero(flags & START), np.flatnonzero(flags & END)
        before = int(np.flatnonzero(flags & BEHIND)[0])
        size = len(window.ids) - before - 1
        assert window.ids[before : before + size] == ids[begin : begin + size]
        assert (flags & CANDIDATE > 0).tolist() == [
            before <= place < before + size for place in range(len(flags))
        ]
        covered.update(range(begin, begin + size))
        if flags[start_at] & NONE:
            assert start_at == end_at == (0 if full else len(flags) - 1)
        else:
            marked = spans[begin + start_at - before, 0], spans[begin + end_at - before, 1]
            assert text[slice(*marked)] == answer["text"]
    assert covered == set(range(len(ids)))
    missed = not any(np.array(one.labels, int)[0 if full else -1] & START == 0 for one in found)
    room = sequence - before - 1
    if room >= 2 * longest and len(questioned.encode([answer["text"]])[0]) <= longest:
        assert not missed
    assert all(window.inexact == missed for window in found)


def sure_of(found: Sequence[Example]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Outputs of a model that is right about every window."""
    made = []
    for one in found:
        flags = torch.tensor(one.labels).long()
        ends = torch.stack([flags & START, flags & END], 1) > 0
        made.append((ends.float()[None] * 9, flags[None]))
    return made


@pytest.mark.parametrize("unanswerable", [False, True])
@pytest.mark.parametrize("stride", [1, 5, 11, 128])
def test_the_same_answer_is_found_whatever_the_stride(
    stride: int, unanswerable: bool, tmp_path: Path, questioned: Tokenizer
) -> None:
    more = {"stride": stride, "longest": 10, "unanswerable": unanswerable}
    questions = task(questioned, tmp_path, **more)
    records = [*RECORDS, *([record("e", "Who?")] if unanswerable else [])]
    found, references = list[Prediction](), list[Any]()
    for one in records:
        examples = learned(questioned, True, 40, one, **more)
        references += [example.reference for example in examples]
        for outputs, labels in sure_of(examples):
            found += questions.predicted(outputs, labels)
    answers = questions.of_records(found, references)
    assert [one.gold["id"] for one in answers] == [one["id"] for one in records]
    for one, right in zip(answers, records, strict=True):
        texts = [answer["text"] for answer in right["answers"]]
        assert one.found["predicted"] == (texts[0] if texts else "")
        start = one.found["start"]
        assert TEXT[start or 0 :].startswith(one.found["predicted"])
        assert (start is None) == (not texts)
    scores = questions.scores(answers, ("start", "end"), 0)
    assert [*scores][:2] == ["f1", "exact_match"]
    assert len(scores) == (4 if unanswerable else 2)
    assert all(one.value == 1 for one in scores.values())


def by_hand(scores: Any, flags: Any, longest: int) -> tuple[float, int, int]:
    """The best span of a row, one after the other."""
    size, before = len(flags), int((flags & BEHIND > 0).nonzero()[0])
    spans = [
        (float(scores[a, 0] + scores[b, 1]), a - before, b - before)
        for a in range(size)
        for b in range(a, min(size, a + longest))
        if flags[a] & flags[b] & CANDIDATE
    ]
    return max(spans, key=lambda one: one[0])


@pytest.mark.parametrize("longest", [1, 3, 30])
def test_the_best_span_is_that_of_a_search_one_by_one(
    longest: int, tmp_path: Path, questioned: Tokenizer
) -> None:
    questions = task(questioned, tmp_path, longest=longest)
    draw = torch.Generator().manual_seed(longest)
    for one in RECORDS:
        for example in learned(questioned, True, 40, one):
            flags = torch.tensor(example.labels).long()
            outputs = torch.randn(1, 44, 2, generator=draw) * 3
            labels = torch.full((1, 44), IGNORE)
            labels[0, : flags.numel()] = flags
            (found,) = questions.predicted(outputs, labels)
            scores = outputs[0, : flags.numel()].log_softmax(0)
            score, start, end = by_hand(scores, flags, longest)
            assert found.found.score == pytest.approx(score, abs=1e-5)
            assert (found.found.start, found.found.end) == (start, end)
            assert found.found.none == pytest.approx(float(scores[0].sum()), abs=1e-5)


def test_no_answer_is_given_where_one_is_not_better_by_the_threshold(
    tmp_path: Path, questioned: Tokenizer
) -> None:
    (example,) = learned(questioned, True, 99, RECORDS[0])
    ((outputs, labels),) = sure_of([example])
    outputs[0, 0] = 8.0  # both ends: 18 against 16
    for threshold, answer in ((1.9, "The stone"), (2.1, "")):
        questions = task(
            questioned, tmp_path / str(threshold), unanswerable=True, threshold=threshold
        )
        found = questions.predicted(outputs, labels)
        (one,) = questions.of_records(found, [example.reference])
        assert one.found["predicted"] == answer
        assert one.found["score"] - one.found["no_answer"] == pytest.approx(2, abs=1e-4)


def test_what_ends_within_a_token_is_learned_as_that_token_and_counted(
    tmp_path: Path, questioned: Tokenizer
) -> None:
    one = record("x", "What?", "riv")
    made = example_set(
        lines(tmp_path / "a.jsonl", [one, RECORDS[0]]), tmp_path / "set", how(questioned)
    )
    assert made.manifest.statistics.changed == {"inexact": 1}
    assert any("1 learned as the nearest tokens" in line for line in summary(tmp_path, made))


@pytest.mark.parametrize("segments", [0, 2])
def test_two_kinds_of_segments_need_an_id_between_them(
    segments: int, shard_set: Path, deepspeed_file: Path, tmp_path: Path
) -> None:
    asked = [record(name, "2 plus 5", "is 2", context="1 plus 1 is 2") for name in "abc"]
    labelling = how(load_tokenizer(shard_set / "tokenizer"))
    made = example_set(lines(tmp_path / "a.jsonl", asked), tmp_path / "set", labelling).folder
    words = ["tiny", "objective.kind=questions", "model.attention=full", "model.sequence=40"]
    words += [f"model.segments={segments}", f"data.train={made}", f"run={tmp_path / 'run'}"]
    if not segments:
        assert "cls" not in prepare(words, None, str(deepspeed_file), World()).objective.special()
        return
    with pytest.raises(UserError, match="needs ids for cls and sep, which the tokenizer of"):
        prepare(words, None, str(deepspeed_file), World())


def test_loss_and_segments_are_those_of_transformers(tmp_path: Path) -> None:
    torch.manual_seed(1)
    theirs = shaken(BertForQuestionAnswering(BertConfig(**BERT)).eval())
    whole = BertForPreTraining(BertConfig(**BERT)).eval()
    whole.bert.load_state_dict(theirs.bert.state_dict(), strict=False)
    whole.save_pretrained(tmp_path / "theirs")
    word_pieces().save(str(tmp_path / "theirs" / "tokenizer.json"))
    import_folder(tmp_path / "theirs", tmp_path / "run")
    trained = load(tmp_path / "run")
    questions = task(trained.tokenizer, tmp_path, 24)
    config = replace(trained.config.model, transform=False, pair_head=False, classes=2)
    ours = Transformer(stages(config, 0, questions.extras)).eval()
    missing = ours.load_state_dict(trained.model.state_dict(), strict=False).missing_keys
    assert [name.rpartition("classes.")[2] for name in missing] == ["weight", "bias"]
    head = dict(zip(missing, theirs.qa_outputs.parameters(), strict=True))
    ours.load_state_dict(head, strict=False)

    context = " ".join(HUB_WORDS[:60])
    one = record("x", " ".join(HUB_WORDS[:4]), HUB_WORDS[40], context=context)
    made = lines(tmp_path / "a.jsonl", [one])
    shards = example_set(made, tmp_path / "set", how(trained.tokenizer, sequence=24, stride=3))
    samples = ordered(evaluation_rows(shards, questions), 0, shards.documents)
    (tokens, segments, visible), labels = questions.batch(samples)
    with torch.no_grad():
        outputs = ours((tokens, segments, visible))
        measured = questions.measure(outputs, labels)
        for row in range(len(tokens)):  # theirs takes padding for text
            size = int((labels[row] != IGNORE).sum())
            flags = labels[row, :size]
            wanted = theirs(
                tokens[row : row + 1, :size],
                token_type_ids=(flags & BEHIND)[None],
                start_positions=(flags & START > 0).nonzero()[0],
                end_positions=(flags & END > 0).nonzero()[0],
            )
            mine = outputs[row : row + 1], labels[row : row + 1]
            assert float(questions.loss(*mine)) == pytest.approx(float(wanted.loss), abs=1e-5)
            assert (outputs[row, :size, 1] - wanted.end_logits[0]).abs().max() < 1e-5
    assert {len(one.unique()) for one in segments} == {2}
    counts, total = questions.counts(labels), questions.loss(outputs, labels)
    assert measured[0].tolist() == pytest.approx([float(total), float(counts)])
    assert len({int((row & START > 0).nonzero()[0]) for row in labels}) > 2


def test_rows_without_labels_count_for_nothing(tmp_path: Path, questioned: Tokenizer) -> None:
    questions = task(questioned, tmp_path)
    ((outputs, labels),) = sure_of(learned(questioned, True, 99, RECORDS[0]))
    outputs.requires_grad_()
    questions.loss(outputs, torch.full_like(labels, IGNORE)).sum().backward()
    assert outputs.grad is not None
    assert outputs.grad.abs().sum() == 0
    assert questions.counts(torch.full_like(labels, IGNORE)).tolist() == [0]
    outputs = outputs.detach()
    twice = torch.cat([outputs] * 2), torch.cat([labels, torch.full_like(labels, IGNORE)])
    assert float(questions.loss(*twice)) == pytest.approx(float(questions.loss(outputs, labels)))
    assert questions.counts(twice[1]).tolist() == [1]


@pytest.mark.parametrize("attention", ["full", "causal"])
def test_a_few_questions_are_learned_by_heart(
    attention: str,
    tmp_path: Path,
    questioned: Tokenizer,
    deepspeed_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    full, records = attention == "full", stories()
    if full:
        more = {"question": "Who?", "answers": []}
        records += [{**one, "id": f"{one['id']} no", **more} for one in records[::2]]
    records.append({**records[0], "id": "again"})  # an odd number: the batches begin anywhere
    path = lines(tmp_path / "a.jsonl", records)
    made = example_set(path, tmp_path / "set", how(questioned, full, 40, unanswerable=full))
    words = ["objective.kind=questions", f"model.attention={attention}", "model.sequence=40"]
    words.append(f"objective.questions.unanswerable={str(full).lower()}")
    run = learned_run(tmp_path / "run", made.folder, deepspeed_file, *words, steps=200, rate=5e-3)
    written = tmp_path / "predictions.jsonl"
    dispatch(["evaluate", str(run), "--data", str(path), "--json", "--predictions", str(written)])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["records"] == len(records)
    assert (found["f1"], found["exact_match"]) == (1, 1)
    assert ("no_answer_f1" in found) == full
    for one, right in zip(written.read_text().splitlines(), records, strict=True):
        line = json.loads(one)
        assert (line["id"], line["question"]) == (right["id"], right["question"])
        if right["answers"]:
            assert line["start"] == right["answers"][0]["answer_start"]
        assert line["predicted"] == (line["answers"] or [""])[0]
