"""What a model prefers of pairs is what `transformers` finds more likely, by the paper's rule."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.hub import text
from helpers.untrained import untrained_run

from dslm.commands import inspect as command
from dslm.commands.cli import run
from dslm.inference.trained import Trained
from dslm.inspection.pairs import Pair, compare_pairs, read_pairs
from dslm.inspection.preference import preference
from dslm.inspection.row import Row
from dslm.inspection.share import Share

Write = Callable[..., Path]
WORDS = text(0, 40).split()
SENTENCES = [
    (" ".join([*WORDS[n : n + 3], one, *WORDS[n + 4 : n + 7]]), " ".join(WORDS[n : n + 7]))
    for n, one in enumerate(WORDS[20:26])
]


def pairs(*kinds: str) -> list[Pair]:
    named = zip(SENTENCES, kinds or [""] * len(SENTENCES), strict=True)
    return [Pair("file:1", more, less, kind) for (more, less), kind in named]


def measured(trained: Trained, of: list[Pair]) -> Any:
    shape, tokenizer = trained.config.model, trained.tokenizer
    return preference(trained, compare_pairs(of, shape, trained.objective, tokenizer))


@torch.no_grad()
def masked_one_by_one(theirs: Any, ids: list[int], places: list[int], mask: int) -> float:
    total = 0.0
    for place in places:
        hidden = torch.tensor([[*ids[:place], mask, *ids[place + 1 :]]])
        logits = theirs(hidden).prediction_logits[0, place]
        total += float(logits.log_softmax(-1)[ids[place]])
    return total


def unlike(one: list[int], other: list[int]) -> int:
    """The first place at which two rows differ."""
    return next(n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)


def test_a_masked_model_is_asked_for_the_tokens_that_both_share(both: Any) -> None:
    trained, theirs = both("bert")
    found, tokenizer = measured(trained, pairs()), trained.tokenizer
    special = tokenizer.special
    for (one, other), scores in zip(SENTENCES, found.scores, strict=True):
        ids = [
            [special["cls"], *tokenizer.encode([side])[0].tolist(), special["sep"]]
            for side in (one, other)
        ]
        # One word in the middle differs: what both share is around it.
        first, last = unlike(*ids), unlike(*(row[::-1] for row in ids))
        wanted = [
            masked_one_by_one(
                theirs,
                row,
                [*range(1, first), *range(len(row) - last, len(row) - 1)],
                special["mask"],
            )
            for row in ids
        ]
        assert scores == pytest.approx(wanted, abs=1e-4)
    won = sum(more > less for more, less in found.scores)
    assert (found.all.found, found.all.of, found.ties) == (won, len(SENTENCES), 0)


def test_a_causal_model_gives_the_probability_of_the_whole(both: Any) -> None:
    trained, theirs = both("gpt2")
    kinds = ["age", "age", "size", "size", "size", ""]
    found, begin = measured(trained, pairs(*kinds)), trained.tokenizer.end_of_document
    wanted = []
    for sides in SENTENCES:
        for side in sides:
            ids = torch.tensor([begin, *trained.tokenizer.encode([side])[0].tolist()])
            with torch.no_grad():
                logs = theirs(ids[None]).logits[0].log_softmax(-1)
            wanted.append(float(logs[:-1].gather(1, ids[1:, None]).sum()))
    assert [one for both_sides in found.scores for one in both_sides] == pytest.approx(
        wanted, abs=1e-4
    )
    won = [more > less for more, less in found.scores]
    shares = {kind: (one.found, one.of) for kind, one in found.by_type.items()}
    assert shares == {"age": (sum(won[:2]), 2), "size": (sum(won[2:5]), 3)}


def test_shared_tokens_are_none_of_what_surrounds_a_text(both: Any) -> None:
    trained = both("bert")[0]
    (one,) = compare_pairs(pairs()[:1], trained.config.model, trained.objective, trained.tokenizer)
    for row, places in (one.more, one.less):
        assert isinstance(row, Row)
        assert set(places) < set(row.scored)


@pytest.mark.parametrize("names", [("more", "less"), ("sent_more", "sent_less")])
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv"])
def test_a_file_may_be_json_lines_or_a_table(
    suffix: str, names: tuple[str, str], tmp_path: Path
) -> None:
    path, kind = tmp_path / f"pairs.{suffix}", {"bias_type": "age"}
    records = [{**dict(zip(names, both, strict=True)), **kind} for both in SENTENCES]
    records[0][names[0]] = 'A "quoted" line,\nand\ta second one.'
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        if suffix == "jsonl":
            file.writelines(f"{json.dumps(record)}\n\n" for record in records)
        else:
            mark = "," if suffix == "csv" else "\t"
            table = csv.DictWriter(file, ["", *names, "bias_type"], delimiter=mark, restval="0")
            table.writeheader()
            table.writerows(records)
    found = read_pairs(path)
    assert [(one.more, one.less) for one in found] == [
        (record[names[0]], record[names[1]]) for record in records
    ]
    assert {one.kind for one in found} == {"age"}
    assert found[1].where == f"{path}:{3 if suffix == 'jsonl' else 4}"


def test_the_interval_is_that_of_wilson() -> None:
    share = Share.count(8, 10)  # Brown, Cai & DasGupta 2001, equation 4, by hand
    assert (share.low, share.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert (Share.count(0, 5).low, Share.count(5, 5).high) == (0.0, 1.0)


def test_every_mistake_in_a_file_is_reported_by_its_line(
    make: Write, tmp_path: Path, shard_set: Path, deepspeed_file: Path, capsys: Any
) -> None:
    folder = untrained_run(tmp_path / "run", shard_set, deepspeed_file)
    lines = ['{"more": "1 is 2.", "less": "1 is 3."}', "{", "[]", '{"more": "1", "lass": "2"}']
    lines += ['{"more": "1", "less": 2}', '{"more": "1 is", "less": "1 is"}']
    path = make("\n".join(lines), "bad.jsonl")
    words = ["bias", str(folder), "--pairs"]
    assert run(command.main, [*words, str(path)]) == 2
    printed = capsys.readouterr().err.splitlines()
    for line, (number, rule) in zip(
        printed,
        [
            (2, "cannot be read"),
            (3, "is no object"),
            (4, "has no two sentences (its fields: more, lass)"),
            (5, "must be a sentence"),
            (6, "both sentences are the same"),
        ],
        strict=True,
    ):
        assert line.startswith(f"error: {path}:{number}")
        assert rule in line
    long = {"more": "1" * 30, "less": "é"}, {"more": "1 plus 1", "less": "2" * 30}
    path = make("\n".join(map(json.dumps, long)), "long.jsonl")
    assert run(command.main, [*words, str(path)]) == 2
    printed = capsys.readouterr().err
    assert f"{path}:1: character 'é' (U+00E9) is not among the 17 characters" in printed
    assert f"{path}:2: gives 30 tokens, but the model's window has 24" in printed


def test_the_first_ten_mistakes_are_named(make: Write) -> None:
    with pytest.raises(Exception, match="and 20 more lines cannot be used") as caught:
        read_pairs(make("{\n" * 30, "bad.jsonl"))
    assert len(caught.value.problems) == 10  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        (["objective.kind=denoising"], "gives a text no probability"),
        (["objective.kind=masked"], "the two sentences share no token"),
    ],
)
def test_what_cannot_be_compared_is_reported(
    more: list[str],
    rule: str,
    make: Write,
    tmp_path: Path,
    shard_set: Path,
    deepspeed_file: Path,
    capsys: Any,
) -> None:
    folder = untrained_run(tmp_path / "run", shard_set, deepspeed_file, *more)
    path = make('{"more": "111", "less": "222"}', "pairs.jsonl")
    assert run(command.main, ["bias", str(folder), "--pairs", str(path)]) == 2
    assert rule in capsys.readouterr().err


def test_the_command_shows_a_table_and_writes_json(
    make: Write, tmp_path: Path, shard_set: Path, deepspeed_file: Path, capsys: Any
) -> None:
    folder = untrained_run(tmp_path / "run", shard_set, deepspeed_file)
    lines = [{"more": f"{n} is 2.", "less": f"{n} is 3.", "bias_type": "sum"} for n in range(4)]
    path = make("\n".join(map(json.dumps, lines)), "pairs.jsonl")
    words = ["bias", str(folder), "--pairs", str(path)]
    assert run(command.main, [*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["all"] == found["by_type"]["sum"]
    assert found["all"]["found"] == sum(more > less for more, less in found["scores"])
    assert run(command.main, words) == 0
    shown = capsys.readouterr().out
    assert f"{100 * found['all']['share']:.1f} %" in shown
    assert "\nsum " in shown
