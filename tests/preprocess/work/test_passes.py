from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dslm.errors import DataError
from dslm.preprocess.clean.language import LanguageConfig
from dslm.preprocess.clean.pipeline import CleaningConfig
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.comparing import comparing
from dslm.preprocess.work.folder import UnitRecord, WorkFolder
from dslm.preprocess.work.passes import Clean, Write
from dslm.preprocess.work.plan import ONLY, ShardingConfig, plan
from dslm.preprocess.work.work import Work
from dslm.shards.statistics import TextVolume
from dslm.tokenizers.load import load_tokenizer

LONG = "the river of light falls over the dark stone and never under it\n\n"


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Two files of lines, the second with a document of the first and with a broken line."""
    lines = [json.dumps({"text": f"{n} rivers. {n} stones."}) for n in range(20)]
    contents = {"a": lines, "b": [lines[3], json.dumps({"text": "20 rivers."}), "{"]}
    for name, content in contents.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(content) + "\n")
    return [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]


@pytest.fixture
def tokenizer(tmp_path: Path, paths: list[Path]) -> Path:
    (tmp_path / "known.txt").write_text("the 0123456789 rivers. stones.")
    train_tokenizer([tmp_path / "known.txt"], tmp_path / "tok", TokenizerConfig("char", None))
    return tmp_path / "tok"


def run_pass(kind: Any, work: WorkFolder, sharding: ShardingConfig, units: int = 1) -> Any:
    sha256 = load_tokenizer(sharding.tokenizer).sha256
    return kind(work, sharding, sha256, work.path.parent, 10, True, units, 0)


def compare(work: WorkFolder, sharding: ShardingConfig, units: int) -> list[UnitRecord]:
    """All passes between cleaning and writing."""
    passes = comparing(run_pass(Work, work, sharding, units), 0)
    kinds = [(run_pass(one.kind, work, sharding, units), one.units) for one in passes]
    return [work_pass(unit, None) for work_pass, numbers in kinds for unit in numbers]


def write(work: WorkFolder, paths: list[Path], sharding: ShardingConfig) -> list[UnitRecord]:
    return [run_pass(Write, work, sharding)(unit, None) for unit in plan(paths, sharding)]


def test_the_record_of_a_unit_holds_inputs_counts_and_files(
    work: WorkFolder, paths: list[Path], tokenizer: Path
) -> None:
    (done,) = write(work, paths, ShardingConfig(tokenizer))
    assert [one.name for one in done.inputs] == ["a.jsonl", "b.jsonl"]
    statistics = done.of(ONLY).statistics
    assert (statistics.documents, statistics.sentences) == (22, 43)
    assert statistics.broken == {"not JSON": 1}
    assert sum(statistics.lengths) == 22
    assert statistics.lengths == [0, 0, 0, 1, 21]  # one of 10 letters, the others of 20 or 22
    assert set(done.files) == {"shard-00000-00000.arrow", "rejected-00000"}
    assert {one.file: one.sha256 for one in done.sets[ONLY].shards}.items() <= done.files.items()
    assert work.hashed(*done.files) == done.files


def test_an_input_is_recorded_by_the_unit_that_reads_its_beginning(
    work: WorkFolder, paths: list[Path], tokenizer: Path
) -> None:
    done = write(work, paths, ShardingConfig(tokenizer, 300))
    reported = [[one.name for one in unit.inputs] for unit in done]
    assert len(reported) > 2
    assert [name for names in reported for name in names] == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize("size", [2, 50, 90, 10_000])
def test_shards_are_closed_by_the_document_that_fills_them(
    work: WorkFolder, paths: list[Path], tokenizer: Path, size: int
) -> None:
    sharding = ShardingConfig(tokenizer, size)
    (unit,) = plan(paths[:1], ShardingConfig(tokenizer))
    done = run_pass(Write, work, sharding)(unit, None)
    sizes = [2 * one.tokens for one in done.sets[ONLY].shards]
    assert all(size <= filled < size + 2 * 22 for filled in sizes[:-1])
    assert sizes[-1] < size + 2 * 22
    assert sum(one.documents for one in done.sets[ONLY].shards) == 20
    assert all(one.documents for one in done.sets[ONLY].shards)


def test_each_language_is_counted(work: WorkFolder, paths: list[Path], tokenizer: Path) -> None:
    cleaning = CleaningConfig(language=LanguageConfig(on=True))
    (done,) = write(work, paths, ShardingConfig(tokenizer, cleaning=cleaning))
    total = TextVolume()
    statistics = done.of(ONLY).statistics
    for volume in statistics.languages.values():
        total.add(volume)
    assert (total.documents, total.tokens, total.text_bytes) == (
        statistics.documents,
        statistics.tokens,
        statistics.text_bytes,
    )


def test_without_languages_none_are_counted(
    work: WorkFolder, paths: list[Path], tokenizer: Path
) -> None:
    (done,) = write(work, paths, ShardingConfig(tokenizer))
    assert done.of(ONLY).statistics.languages == {}


def test_duplicates_are_left_out_over_the_borders_of_units(
    work: WorkFolder, paths: list[Path], tokenizer: Path
) -> None:
    sharding = ShardingConfig(tokenizer, 300, duplicates=Duplicates(documents=True))
    units = plan(paths, sharding)
    reported: list[int] = []
    cleaning = run_pass(Clean, work, sharding, len(units))
    cleaned = [cleaning(unit, reported.append) for unit in units]
    assert sum(one.statistics.documents for one in cleaned) == 0  # none is kept yet
    assert [one.name for done in cleaned for one in done.inputs] == ["a.jsonl", "b.jsonl"]
    compared = compare(work, sharding, len(units))
    assert sum(name.startswith("decision") for one in compared for name in one.files) == len(units)
    writing = run_pass(Write, work, sharding, len(units))
    written = [writing(unit, reported.append) for unit in units]
    assert sum(one.of(ONLY).statistics.documents for one in written) == 21
    assert [one.statistics.left_out for one in written] == [
        *[{}] * (len(units) - 1),
        {"duplicate": 1},
    ]
    assert sum(reported) == 2 * sum(path.stat().st_size for path in paths)
    assert all(done.inputs == () for done in written)


def test_a_repeated_paragraph_is_cut_out_where_it_comes_again(
    work: WorkFolder, paths: list[Path], tokenizer: Path
) -> None:
    texts = [f"1 rivers.\n\n{LONG}", f"2 rivers.\n\n{LONG}", LONG]
    paths[0].write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    train_tokenizer([paths[0]], tokenizer.parent / "more", TokenizerConfig("char", None))
    duplicates = Duplicates(paragraphs=True, paragraph_characters=20)
    sharding = ShardingConfig(tokenizer.parent / "more", duplicates=duplicates)
    units = plan(paths[:1], sharding)
    run_pass(Clean, work, sharding)(units[0], None)
    compare(work, sharding, 1)
    statistics = run_pass(Write, work, sharding)(units[0], None).of(ONLY).statistics
    assert statistics.documents == 2
    assert statistics.changed == {"duplicate paragraphs removed": 1}
    assert sum(statistics.left_out.values()) == 1


def test_an_unknown_character_is_reported_with_the_file_that_holds_it(
    work: WorkFolder, paths: list[Path], tokenizer: Path
) -> None:
    with paths[1].open("a") as file:
        file.write('{"text": "x"}\n')
    with pytest.raises(DataError, match=r"^b\.jsonl: character 'x'"):
        write(work, paths, ShardingConfig(tokenizer))


def test_a_tokenizer_that_changed_on_the_way_is_never_used(
    work: WorkFolder, paths: list[Path], tokenizer: Path
) -> None:
    sharding = ShardingConfig(tokenizer)
    begun: Work = run_pass(Write, work, sharding)
    (unit,) = plan(paths, sharding)
    (tokenizer.parent / "known.txt").write_text("the 0123456789 rivers. stones, all of them")
    for path in tokenizer.iterdir():
        path.unlink()
    tokenizer.rmdir()
    train_tokenizer([tokenizer.parent / "known.txt"], tokenizer, TokenizerConfig("char", None))
    with pytest.raises(DataError, match="has changed since the work began"):
        begun(unit, None)
