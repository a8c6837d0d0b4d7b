from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from dslm.errors import DataError
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.document import Rejected
from dslm.preprocess.read.documents import documents
from dslm.preprocess.read.pieces import pieces
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import Execution, shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig, plan
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer


def _(rejected: Rejected) -> None:
    raise AssertionError(rejected)


def content(folder: Path) -> dict[str, str]:
    """The hash of every file of a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_one_and_two_workers_give_the_same_bytes(
    tmp_path: Path, corpus: list[Path], unigram: Path
) -> None:
    sharding = ShardingConfig(unigram, shard_size=1500)
    reported: dict[int, list[int]] = {1: [], 2: []}
    for workers in (1, 2):
        execution = Execution(workers=workers, progress=reported[workers].append)
        shard(corpus, tmp_path / str(workers), sharding, execution)
    assert content(tmp_path / "1") == content(tmp_path / "2")
    assert sum(reported[1]) == sum(reported[2]) == sum(path.stat().st_size for path in corpus)
    assert len(ShardSet.open(tmp_path / "1").manifest.shards) > 4


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize("paragraphs", [False, True])
def test_progress_goes_on_in_every_pass_and_ends_at_the_total(
    tmp_path: Path, corpus: list[Path], unigram: Path, near: bool, paragraphs: bool
) -> None:
    duplicates = Duplicates(documents=True, near=near, paragraphs=paragraphs)
    sharding = ShardingConfig(unigram, shard_size=1500, duplicates=duplicates)
    reported: list[int] = []
    shard(corpus, tmp_path / "set", sharding, Execution(progress=reported.append))
    size, units = sum(path.stat().st_size for path in corpus), len(plan(corpus, sharding))
    assert sum(reported) == sharding.passes * size
    assert max(reported) <= 2 * size / units, "no pass is one step"


def test_a_unit_of_which_no_document_is_left_is_passed_over(tmp_path: Path, unigram: Path) -> None:
    lines = [json.dumps({"text": text}) for text in ["the river", "", "", "the river"]]
    paths = [tmp_path / f"{number}.jsonl" for number in range(4)]
    for path, line in zip(paths, lines, strict=True):
        path.write_text(f"{line}\n" * 10)
    duplicates = Duplicates(near=True, paragraphs=True)
    sharding = ShardingConfig(unigram, shard_size=200, duplicates=duplicates)
    assert len(plan(paths, sharding)) > 2
    shards, _ = shard(paths, tmp_path / "set", sharding)
    assert shards.documents == 1


def test_shards_hold_the_documents_in_order_each_with_its_end(
    corpus: list[Path], unigram: Path, text_shards: ShardSet
) -> None:
    tokenizer = load_tokenizer(unigram)
    read = (
        d
        for piece in pieces(corpus, ReadingConfig(), 10**9)
        for d in documents(piece, ReadingConfig(), _)
    )
    texts = [document.text for document in read]
    expected = [np.append(ids, tokenizer.end_of_document) for ids in tokenizer.encode(texts)]
    found = text_shards.windows(np.array([0]), text_shards.tokens)[0]
    assert np.array_equal(found, np.concatenate(expected))
    assert text_shards.documents == len(texts)
    assert text_shards.text_bytes == sum(len(text.encode()) for text in texts)
    assert text_shards.maximum_token == found.max()


def test_character_shards_are_the_text_itself(
    tmp_path: Path, corpus: list[Path], characters: Path
) -> None:
    shards, _ = shard(corpus[:2], tmp_path / "set", ShardingConfig(characters))
    found = shards.windows(np.array([0]), shards.tokens)[0]
    assert load_tokenizer(shards.tokenizer).decode(found) == "".join(
        path.read_text() for path in corpus[:2]
    )


def test_a_shard_is_closed_once_it_is_large_enough(
    corpus: list[Path], unigram: Path, text_shards: ShardSet
) -> None:
    sizes = [2 * part.tokens for part in text_shards.manifest.shards]
    last_of_units = [size for size in sizes if size < 1000]
    assert len(last_of_units) <= len(plan(corpus, ShardingConfig(unigram, shard_size=1000)))
    assert max(sizes) < 6000  # the largest document


def test_small_files_share_a_unit_and_units_are_cut_by_size_alone(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.txt").write_text("x" * 40)
    paths = sorted(tmp_path.iterdir())
    units = plan(paths, ShardingConfig(tmp_path, shard_size=100))
    assert [len(unit.pieces) for unit in units] == [2, 2, 2]
    assert [piece.path for unit in units for piece in unit.pieces] == paths


def test_manifests_name_no_absolute_path_and_no_time(tmp_path: Path, text_shards: ShardSet) -> None:
    for name in ("manifest.json", "state.json", "dataset_info.json", "tokenizer/tokenizer.json"):
        assert str(tmp_path.parent) not in (text_shards.folder / name).read_text()
    keys = json.loads((text_shards.folder / "manifest.json").read_text())
    assert [one["name"] for one in keys["inputs"]] == ["0.txt", "1.txt", "2.txt", "lines.jsonl"]


def test_a_set_already_there_is_found_and_left_alone(
    corpus: list[Path], unigram: Path, text_shards: ShardSet
) -> None:
    before = content(text_shards.folder)
    shards, made = shard(corpus, text_shards.folder, ShardingConfig(unigram, shard_size=1000))
    assert not made
    assert shards.fingerprint == text_shards.fingerprint
    assert content(text_shards.folder) == before


def test_a_set_of_other_text_tokenizer_or_settings_is_refused(
    corpus: list[Path], unigram: Path, characters: Path, text_shards: ShardSet
) -> None:
    before = content(text_shards.folder)
    same = ShardingConfig(unigram, shard_size=1000)
    for paths, sharding in (
        (corpus[1:], same),
        (corpus, ShardingConfig(unigram, shard_size=1001)),
        (corpus, ShardingConfig(unigram, 1000, ReadingConfig(invalid_utf8="skip"))),
        (corpus, ShardingConfig(characters, 1000)),
    ):
        with pytest.raises(DataError, match="other text or with other settings"):
            shard(paths, text_shards.folder, sharding)
    assert content(text_shards.folder) == before


def test_text_changed_under_the_same_name_and_size_is_noticed(
    tmp_path: Path, characters: Path
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the river")
    shard([path], tmp_path / "set", ShardingConfig(characters))
    path.write_text("the stone")
    with pytest.raises(DataError, match="other text"):
        shard([path], tmp_path / "set", ShardingConfig(characters))


def test_an_output_that_holds_something_else_is_refused(
    tmp_path: Path, corpus: list[Path], unigram: Path
) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(DataError, match="holds something else"):
        shard(corpus, tmp_path, ShardingConfig(unigram))
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_an_empty_folder_may_be_filled(tmp_path: Path, corpus: list[Path], unigram: Path) -> None:
    assert shard(corpus, tmp_path, ShardingConfig(unigram))[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_too_much_that_is_broken_is_reported_with_file_and_line(
    tmp_path: Path, corpus: list[Path], unigram: Path, workers: int
) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "z.jsonl").write_bytes(b'{"text": "good"}\n{"text": "cut\n[1]\n')
    sharding, execution = (
        ShardingConfig(unigram, shard_size=1000),
        Execution(workers=workers, max_bad=1),
    )
    with pytest.raises(DataError, match=r"(?s)z\.jsonl: not JSON \(line 2.*--max-bad") as caught:
        shard([*corpus, texts / "z.jsonl"], tmp_path / "set", sharding, execution)
    assert "2 records are broken" in str(caught.value)
    assert not (tmp_path / "set").exists()
    more = Execution(workers=workers, max_bad=2)
    shards, made = shard([*corpus, texts / "z.jsonl"], tmp_path / "set", sharding, more)
    assert made
    assert shards.manifest.statistics.broken == {"not JSON": 1, "not a JSON object": 1}
    assert (
        shards.manifest.statistics.examples[1]
        .split("/", 1)[1]
        .startswith("texts/z.jsonl: not a JSON object (line 3")
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "texts"]


def test_replaced_and_skipped_documents_are_counted(tmp_path: Path, unigram: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"the \xff river")
    (tmp_path / "b.txt").write_text("the stone")
    paths = sorted(tmp_path.iterdir())
    counts = {}
    for choice in ("replace", "skip", "refuse"):
        sharding = ShardingConfig(unigram, reading=ReadingConfig(invalid_utf8=choice))
        statistics = shard(paths, tmp_path / choice, sharding)[0].manifest.statistics
        counts[choice] = (
            statistics.documents,
            statistics.changed,
            statistics.left_out,
            statistics.broken,
        )
    assert counts == {
        "replace": (2, {"replaced": 1}, {}, {}),
        "skip": (1, {}, {"not UTF-8": 1}, {}),
        "refuse": (1, {}, {}, {"not UTF-8": 1}),
    }
    assert ShardSet.open(tmp_path / "replace").text_bytes == len(
        "the \ufffd riverthe stone".encode()
    )


def test_text_without_content_is_one_clear_error(tmp_path: Path, unigram: Path) -> None:
    texts = tmp_path / "a.txt"
    texts.write_text("  \n")
    with pytest.raises(DataError, match=r"no text to tokenize.*left out: 1 empty; give files"):
        shard([texts], tmp_path / "set", ShardingConfig(unigram))
    assert list(tmp_path.iterdir()) == [texts]


def test_an_unknown_character_is_named_with_its_file(tmp_path: Path, characters: Path) -> None:
    (tmp_path / "a.txt").write_text("短")
    with pytest.raises(DataError, match=r"a\.txt: character '短' \(U\+77ED\)"):
        shard([tmp_path / "a.txt"], tmp_path / "set", ShardingConfig(characters))


def test_a_tokenizer_made_again_at_the_same_place_is_read_again(
    tmp_path: Path, corpus: list[Path]
) -> None:
    found = []
    for kind, vocabulary in (("char", None), ("unigram", 300)):
        train_tokenizer(corpus, tmp_path / kind, TokenizerConfig(kind, vocabulary))
        (tmp_path / kind).rename(tmp_path / "tokenizer")
        shards, _ = shard(corpus, tmp_path / f"{kind}-set", ShardingConfig(tmp_path / "tokenizer"))
        (tmp_path / "tokenizer").rename(tmp_path / kind)
        found.append(shards.tokens)
    assert found[0] > found[1]
