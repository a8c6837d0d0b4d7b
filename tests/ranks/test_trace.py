"""The documents named for a step are those that the loop read in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import launching
from helpers.deepspeed_json import MODEL, deepspeed

from dslm.commands.cli import run as run_command
from dslm.commands.data import main
from dslm.errors import UserError
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.shards.shard_set import ShardSet
from dslm.train.provenance import SampleTrace, trace

pytestmark = pytest.mark.ranks


def noting_rank(rank: int, ranks: int, port: int, arguments: list[str], output: str) -> None:
    """A rank that writes down what the loop reads, a line for each step."""
    from dslm.train import loop

    plain = loop.training_batch

    def noted(*arguments: Any) -> Iterator[Any]:
        batches = list(plain(*arguments))
        rows = [
            [*row.tolist(), int(answers[-1])]
            for inputs, labels in batches
            for row, answers in zip(inputs, labels, strict=True)
        ]
        with Path(f"{output}.rows").open("a") as file:
            file.write(f"{json.dumps(rows)}\n")
        yield from batches

    loop.training_batch = noted
    PLAIN_RANK(rank, ranks, port, arguments, output)


PLAIN_RANK = launching._rank


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two shard sets of short documents, the second of which is read twice."""
    folder = tmp_path_factory.mktemp("trace")
    for name, sign, count in (("products", "*", 300), ("sums", "+", 30)):
        lines = [json.dumps({"text": f"{n} {sign} {n} is known."}) for n in range(count)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    texts = sorted(folder.glob("*.jsonl"))
    train_tokenizer(texts, folder / "tokenizer", TokenizerConfig("char", None))
    for text in texts:
        shard([text], folder / text.stem, ShardingConfig(folder / "tokenizer", shard_size=2000))
    return [folder / text.stem for text in texts]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, sets: list[Path]) -> dict[str, Any]:
    """Four steps of 16 rows on two ranks, then two of 32, and the rows that each rank read."""
    folder = tmp_path_factory.mktemp("trained")
    weights = json.dumps({str(sets[0]): 0.25, str(sets[1]): 0.75})
    words = ["tiny", *MODEL, f"data.train={weights}", "evaluation_interval=1000"]
    words += ["log_interval=2"]
    rows: dict[int, list[list[list[int]]]] = {0: [], 1: []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launching, "_rank", noting_rank)
        for steps, batch, made in ((4, 16, 4), (6, 32, 2)):
            config = deepspeed(train_batch_size=batch)
            ended = launching.launch(folder / "run", [*words, f"steps={steps}"], config, 2)
            assert ended.code == 0, ended.messages
            for rank in rows:
                noted = folder / f"run.{rank}.rows"
                # Resuming reads a batch more, to make the optimizer's state before it is filled;
                # so does saving in the end, to see whether the weights still give a loss.
                lines = noted.read_text().splitlines()[-made - 1 : -1]
                rows[rank] += [json.loads(line) for line in lines]
                noted.unlink()
    return {"run": folder / "run", "rows": rows}


def tokens_of(seen: SampleTrace) -> list[int]:
    found = ShardSet.open(seen.folder).windows(np.array([seen.first]), seen.last - seen.first)
    return [int(token) for token in found[0]]


@pytest.mark.parametrize("step", range(1, 7))
def test_the_rows_named_are_those_that_each_rank_read(trained: dict[str, Any], step: int) -> None:
    for rank in (0, 1):
        named: dict[int, list[int]] = {}
        for seen in trace(trained["run"], step, rank):
            assert seen.rank == rank
            named.setdefault(seen.sample, []).extend(tokens_of(seen))
        assert list(named.values()) == trained["rows"][rank][step - 1]
        assert len(named) == (8 if step <= 4 else 16)


def test_a_row_around_the_end_of_a_set_is_named_in_two_parts(trained: dict[str, Any]) -> None:
    seen = [one for step in range(1, 7) for one in trace(trained["run"], step, None)]
    pairs = [(a, b) for a, b in pairwise(seen) if a.sample == b.sample]
    assert pairs
    for first, second in pairs:
        assert (first.last, second.first) == (ShardSet.open(first.folder).tokens, 0)
        assert first.last - first.first + second.last == 17
        assert first.folder == second.folder


def test_without_a_rank_it_names_the_rows_of_all(trained: dict[str, Any]) -> None:
    both = [seen for rank in (0, 1) for seen in trace(trained["run"], 6, rank)]
    assert list(trace(trained["run"], 6, None)) == both
    samples = [*dict.fromkeys(seen.sample for seen in both)]
    assert samples == list(range(4 * 16 + 32, 4 * 16 + 64))


def test_the_documents_of_a_row_are_where_their_inputs_say(
    trained: dict[str, Any], sets: list[Path]
) -> None:
    folders = set()
    for seen in trace(trained["run"], 3, None):
        shards = ShardSet.open(seen.folder)
        spans = [shards.document(document.number) for document in seen.documents]
        assert spans[0][0] <= seen.first < spans[0][1]
        assert spans[-1][0] < seen.last <= spans[-1][1]
        assert [span[1] for span in spans[:-1]] == [span[0] for span in spans[1:]]
        for document in seen.documents:
            raw = (sets[0].parent / document.input).read_bytes()[document.place :]
            text = json.loads(raw.splitlines()[0])["text"]
            assert len(text.encode()) == document.text_bytes
            assert text.startswith(f"{document.number} ")
        folders.add(seen.folder)
    assert folders == set(sets)


def test_the_command_lists_rows_and_documents(
    trained: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["trace", str(trained["run"]), "--step", "2", "--rank", "1"]
    assert run_command(main, arguments) == 0
    reported = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("sample ") for line in reported) == 8
    assert "document" in reported[1]
    assert run_command(main, [*arguments, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    named = list(trace(trained["run"], 2, 1))
    assert [row["sample"] for row in rows] == [seen.sample for seen in named]
    assert rows[0]["documents"][0]["sha256"] == named[0].documents[0].sha256


@pytest.mark.parametrize(
    ("step", "rank", "reported"),
    [
        (0, None, r"--step = 0: the run has steps 1 to 6"),
        (7, None, r"--step = 7: the run has steps 1 to 6"),
        (1, 2, r"--rank = 2: the run has ranks 0 to 1 that read data"),
    ],
)
def test_no_such_step_or_rank_is_reported(
    trained: dict[str, Any], step: int, rank: int | None, reported: str
) -> None:
    with pytest.raises(UserError, match=reported):
        list(trace(trained["run"], step, rank))


def test_a_folder_without_a_run_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not the folder of a run"):
        list(trace(tmp_path, 1, None))


def test_shards_that_are_no_longer_those_of_the_run_are_reported(
    trained: dict[str, Any], sets: list[Path], tmp_path: Path
) -> None:
    record = json.loads((trained["run"] / "run.json").read_text())
    record["data"]["train"][0]["fingerprint"] = "0" * 64
    (tmp_path / "run.json").write_text(json.dumps(record))
    reported = rf"{sets[0].name}: is no longer the shard set that .* read"
    with pytest.raises(UserError, match=reported):
        list(trace(tmp_path, 1, None))
