"""One text divided into sets: each exactly what is left of it when all other documents are not."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.errors import ConfigError, DataError
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import Execution, shard, shard_sets
from dslm.preprocess.work.plan import ONLY, ShardingConfig
from dslm.preprocess.work.split import EXAMPLE, FEWEST, Split, longest, no_document, too_coarse
from dslm.shards.provenance import ProvenanceReader
from dslm.shards.shard_set import ShardSet
from dslm.shards.verify import verify
from dslm.tokenizers.load import load_tokenizer

HALVES = Split.read("one=2,two=1,three=1")


@pytest.fixture
def lines(tmp_path: Path) -> list[Path]:
    """Four files of records, some of which come twice, in one file or in two."""
    draw = random.Random(3)
    texts = [f"the river number {n} falls over a stone and {n} more" for n in range(150)]
    (tmp_path / "text").mkdir()
    paths = [tmp_path / "text" / f"{number}.jsonl" for number in range(4)]
    for path in paths:
        records = [json.dumps({"text": draw.choice(texts)}) for _ in range(60)]
        path.write_text("\n".join(records) + "\n{broken\n")
    return paths


def texts_of(shards: ShardSet) -> list[str]:
    origins, tokenizer = ProvenanceReader(shards), load_tokenizer(shards.tokenizer)
    return [origins.text(number, tokenizer) for number in range(shards.documents)]


def content(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = [str(path.relative_to(folder)) for path in files]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return dict(zip(names, hashes, strict=True))


@pytest.mark.parametrize("duplicates", [Duplicates(), Duplicates(documents=True, near=True)])
def test_the_sets_of_a_split_are_the_whole_in_order_and_have_no_text_in_common(
    tmp_path: Path, lines: list[Path], unigram: Path, duplicates: Duplicates
) -> None:
    whole = ShardingConfig(unigram, 900, duplicates=duplicates)
    all_, _ = shard(lines, tmp_path / "all", whole)
    divided = ShardingConfig(unigram, 900, duplicates=duplicates, split=HALVES)
    sets, made = shard_sets(lines, tmp_path / "sets", divided)
    assert made
    assert [*sets] == HALVES.names
    for name, shards in sets.items():
        assert shards.folder == tmp_path / "sets" / name
        expected = [text for text in texts_of(all_) if HALVES.set_of(text) == name]
        assert texts_of(shards) == expected
        assert verify(shards, lambda _: None) == []
        there, every = shards.manifest.statistics, all_.manifest.statistics
        assert (there.broken, there.examples) == (every.broken, every.examples)
        assert there.left_out.pop("in another set") == all_.documents - shards.documents
        assert there.left_out == every.left_out
        assert shards.manifest.inputs == all_.manifest.inputs
        assert shards.manifest.settings["split"] == "one=2,two=1,three=1"
        assert shards.manifest.settings["set"] == name
    assert len({text for shards in sets.values() for text in texts_of(shards)}) == sum(
        len(set(texts_of(shards))) for shards in sets.values()
    )


def test_a_text_keeps_its_set_whatever_else_is_read_and_in_which_order(
    tmp_path: Path, lines: list[Path], unigram: Path
) -> None:
    found = []
    for number, paths in enumerate((lines, lines[::-1], lines[:2])):
        sharding = ShardingConfig(unigram, split=HALVES)
        sets, _ = shard_sets(paths, tmp_path / f"{number}", sharding)
        found.append({text: name for name, one in sets.items() for text in texts_of(one)})
    assert found[0] == found[1]
    assert found[2].items() < found[0].items()


def test_a_text_keeps_its_set_whichever_copy_of_its_paragraphs_is_cut(
    tmp_path: Path, unigram: Path
) -> None:
    names = [f"the river {number}" for number in range(60)]
    shared = " over the dark stone falls the light of a river and never ends"
    whole = {name: f"{name}\n\n{n // 2}{shared}" for n, name in enumerate(names)}
    duplicates = Duplicates(documents=True, paragraphs=True, paragraph_characters=50)
    sharding = ShardingConfig(unigram, duplicates=duplicates, split=HALVES)
    cut = []
    for number, order in enumerate((names, names[::-1])):
        path = tmp_path / f"{number}.jsonl"
        path.write_text("".join(json.dumps({"text": whole[name]}) + "\n" for name in order))
        sets, _ = shard_sets([path], tmp_path / str(number), sharding)
        found = {text: name for name, one in sets.items() for text in texts_of(one)}
        assert {text.partition("\n")[0]: name for text, name in found.items()} == {
            name: HALVES.set_of(whole[name]) for name in names
        }
        cut.append({text for text in found if text in names})
    assert cut[0] | cut[1] == {*names}
    assert not cut[0] & cut[1]


def test_one_and_two_workers_write_the_same_sets(
    tmp_path: Path, lines: list[Path], unigram: Path
) -> None:
    sharding = ShardingConfig(unigram, 900, duplicates=Duplicates(documents=True), split=HALVES)
    for workers in (1, 2):
        shard_sets(lines, tmp_path / str(workers), sharding, Execution(workers=workers))
    assert content(tmp_path / "1") == content(tmp_path / "2")
    assert sum(name.endswith(".arrow") for name in content(tmp_path / "1")) > 6


def test_sets_that_are_there_are_found_and_others_are_refused(
    tmp_path: Path, lines: list[Path], unigram: Path
) -> None:
    sharding, output = ShardingConfig(unigram, split=HALVES), tmp_path / "sets"
    shard_sets(lines, output, sharding)
    before = content(output)
    sets, made = shard_sets(lines, output, sharding)
    assert not made
    assert [*sets] == HALVES.names
    other = ShardingConfig(unigram, split=Split.read("one=3,two=1,three=1"))
    with pytest.raises(DataError, match="other text or with other settings"):
        shard_sets(lines, output, other)
    for other in (ShardingConfig(unigram), ShardingConfig(unigram, split=Split.read("a=1,b=1"))):
        with pytest.raises(DataError, match="holds something else"):
            shard_sets(lines, output, other)
    assert content(output) == before


@pytest.mark.parametrize(
    ("removed", "reported"),
    [
        (["two"], "holds one and three, but not two; remove it or"),
        (["one", "three"], "holds two, but not one and three; remove it or"),
        (HALVES.names, "holds something else; remove it or"),
    ],
)
def test_of_sets_of_which_some_are_gone_the_rest_is_named(
    tmp_path: Path, lines: list[Path], unigram: Path, removed: list[str], reported: str
) -> None:
    sharding, output = ShardingConfig(unigram, split=HALVES), tmp_path / "sets"
    shard_sets(lines, output, sharding)
    (output / "of somebody").touch()
    for name in removed:
        shutil.rmtree(output / name)
    with pytest.raises(DataError, match=reported):
        shard_sets(lines, output, sharding)


def test_a_set_that_gets_no_document_is_an_error_with_ways_out_and_leaves_nothing(
    tmp_path: Path, unigram: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "the river"}\n{"text": "the stone"}\n')
    sharding = ShardingConfig(unigram, split=Split.read(EXAMPLE))
    reported = "of 2 documents none fell into validation or test; give validation and test a larger"
    with pytest.raises(DataError, match=reported):
        shard_sets([tmp_path / "a.jsonl"], tmp_path / "sets", sharding)
    assert [path.name for path in tmp_path.iterdir() if path.name != "tokenizer"] == ["a.jsonl"]


def test_without_a_split_there_is_one_set_without_a_name(
    tmp_path: Path, lines: list[Path], unigram: Path
) -> None:
    sets, _ = shard_sets(lines, tmp_path / "set", ShardingConfig(unigram))
    assert [*sets] == [ONLY]
    with pytest.raises(ValueError, match="too many values"):
        shard(lines, tmp_path / "sets", ShardingConfig(unigram, split=HALVES))


def test_documents_are_divided_in_the_given_shares() -> None:
    for spec in (EXAMPLE, "a=0.5,b=0.25,c=0.25", "a,b=10", "a=3,b=4"):
        split, count = Split.read(spec), 20_000
        found = Counter(split.set_of(f"text {number}") for number in range(count))
        for name in split.names:
            share = float(split.share(name))
            assert abs(found[name] - count * share) < 5 * (count * share * (1 - share)) ** 0.5


def test_the_first_bytes_of_the_hash_decide() -> None:
    split = Split.read("a=1,b=1")
    for text in map(str, range(100)):
        first = hashlib.sha256(text.encode()).digest()[0]
        assert split.set_of(text) == ("a" if first < 128 else "b")


def test_only_the_ratio_of_shares_counts_and_one_set_may_get_the_rest() -> None:
    texts = [*map(str, range(300))]
    for same in (("a=98,b=1,c=1", "a=196,b=2,c=2"), ("a=98,b=1,c=1", "a,b=1,c=1")):
        one, other = map(Split.read, same)
        assert [*map(one.set_of, texts)] == [*map(other.set_of, texts)]


@given(st.lists(st.decimals("0.01", "1000", places=2), min_size=2, max_size=6))
def test_what_a_split_prints_is_read_as_the_same_split(weights: list[object]) -> None:
    split = Split.read(",".join(f"set{n}={weight}" for n, weight in enumerate(weights)))
    assert Split.read(str(split)) == split
    assert sum(map(split.share, split.names)) == 1


@pytest.mark.parametrize(
    "same",
    [
        ("a=80,b=20", "a=4,b=1", "a=80.0,b=20.00", " a = 0.8 , b = .2 ", "a,b=20"),
        ("a=98,b=1,c=1", "a=196,b=2,c=2", "a,b=1,c=1", "a=0.98,b=0.01,c=0.01"),
        ("a=1,b=3", "a=33.1,b=99.3"),
    ],
)
def test_the_same_shares_are_the_same_split_however_they_are_written(same: tuple[str, ...]) -> None:
    splits = [Split.read(spec) for spec in same]
    assert len({*splits}) == len({*map(str, splits)}) == 1


@pytest.mark.parametrize(
    ("spec", "rules"),
    [
        ("", ["a set has no name"]),
        ("train=9,,test=1", ["a set has no name"]),
        ("=5,b=1", ["a set has no name"]),
        ("train=9", ["names one set"]),
        ("train", ["names one set"]),
        ("a=1,a=2", ["is named more than once"]),
        ("a=0,b=1", ["a share is a number above 0"]),
        ("a=-1,b=1", ["a share is a number above 0"]),
        ("a=x,b=1", ["a share is a number above 0"]),
        ("a=nan,b=inf", ["a share is a number above 0"] * 2),
        ("a=,b=1", ["a share is a number above 0"]),
        ("a,b", ["only one set can get what is left of 100 %"]),
        ("a,b=60,c=40", ["nothing is left of 100 % for a"]),
        ("../a=1,b=1", ["is no name for a folder"]),
        ("a/b=1,.c=1", ["is no name for a folder"] * 2),
        ("a=0,a=1,b,c", ["named more than once", "a share is", "only one set"]),
    ],
)
def test_every_mistake_in_a_split_is_reported_with_what_to_write(
    spec: str, rules: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        Split.read(spec)
    problems = caught.value.problems
    assert len(problems) == len(rules)
    for problem, rule in zip(problems, rules, strict=True):
        assert rule in problem.rule
        assert problem.where == "--split"
        assert problem.fix


@pytest.mark.parametrize(
    ("typed", "written"), [("10%", "10"), ("2.5 %", "2.5"), ("0%", "1"), ("x%", "1"), ("1e3", "1")]
)
def test_a_share_that_is_no_number_is_told_as_the_number_that_was_meant(
    typed: str, written: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Split.read(f"train=90,validation={typed}")
    (problem,) = caught.value.problems
    assert problem.fix == f"write validation={written}, or leave the set out"
    Split.read(f"train=90,validation={written}")


def test_too_few_files_are_known_beforehand_and_the_way_out_helps(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(37)]
    for path in paths:
        path.write_text("a line of a novel, and one more\n" * 4000)
    split = Split.read(EXAMPLE)
    (problem,) = too_coarse(split, paths, ReadingConfig())
    assert "37 documents, one for each file" in problem.rule
    assert "validation would get 0.37" in problem.rule
    kilobytes = longest(split, sum(p.stat().st_size for p in paths))
    assert f"--longest {kilobytes}KB" in problem.fix
    for better in (
        ReadingConfig(longest=1000 * kilobytes),
        ReadingConfig(documents="block"),
        ReadingConfig(documents="line"),
    ):
        assert not too_coarse(split, paths, better)
    assert not too_coarse(Split.read("a=1,b=1"), paths, ReadingConfig())


def test_pieces_of_files_are_not_called_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the river falls\n" * 100)
    (problem,) = too_coarse(Split.read(EXAMPLE), [tmp_path / "a.txt"], ReadingConfig(longest=400))
    assert "4 documents, pieces of 1 file, cannot be split" in problem.rule


@pytest.mark.parametrize(
    ("name", "reading", "ways"),
    [
        ("a.txt", ReadingConfig(), ["--longest 1KB", "--documents block", "--documents line"]),
        ("a.txt", ReadingConfig(longest=900), ["--documents block", "--documents line"]),
        ("a.txt", ReadingConfig(documents="block"), ["--documents line"]),
        ("a.txt", ReadingConfig(documents="line"), []),
        ("a.jsonl", ReadingConfig(), []),
        ("a.csv", ReadingConfig(documents="line"), []),
    ],
)
def test_only_ways_that_give_more_documents_of_such_files_are_named(
    tmp_path: Path, name: str, reading: ReadingConfig, ways: list[str]
) -> None:
    line = {"a.txt": "text,a,b\n", "a.jsonl": '{"text": "a"}\n', "a.csv": "text,a,b\n"}[name]
    (tmp_path / name).write_text(line * 120_000)
    split = Split.read(EXAMPLE)
    fix = no_document(split, ["test"], 9, [tmp_path / name], reading).fix
    assert "give test a larger share" in fix
    assert re.findall(r"--\w+ \w+", fix) == ways


def test_the_length_that_is_named_is_enough_for_the_smallest_set_too(tmp_path: Path) -> None:
    path, split = tmp_path / "a.txt", Split.read("train=89,validation=10,test=1")
    path.write_text("the river falls over a stone\n" * 90_000)
    fixes = {no_document(split, [name], 9, [path], ReadingConfig()).fix for name in split.names}
    (length,) = {re.findall(r"--longest (\d+)KB", fix)[0] for fix in fixes}
    assert not split.few(path.stat().st_size // (1000 * int(length)))


def test_records_are_not_counted_beforehand(tmp_path: Path, lines: list[Path]) -> None:
    (tmp_path / "a.txt").write_text("the river")
    assert not too_coarse(Split.read(EXAMPLE), [*lines, tmp_path / "a.txt"], ReadingConfig())


def test_a_set_is_called_too_small_by_what_it_may_expect() -> None:
    split = Split.read("a=90,b=10")
    assert split.few(10 * FEWEST) == {}
    assert split.few(10 * FEWEST - 1) == {"b": Fraction(10 * FEWEST - 1, 10)}
