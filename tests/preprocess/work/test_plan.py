from __future__ import annotations

import json
from pathlib import Path

import pytest

from dslm.preprocess.clean.contamination import ContaminationConfig
from dslm.preprocess.clean.pipeline import CleaningConfig
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.work import plan as module
from dslm.preprocess.work.plan import ShardingConfig, plan

LINES = ReadingConfig(documents="line")


def write(folder: Path, *sizes: int) -> list[Path]:
    """Files of so many bytes in lines of ten."""
    paths = [folder / f"{number}.txt" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_text("123456789\n" * (size // 10))
    return paths


def test_a_large_file_of_lines_is_cut_at_the_size_of_a_shard(tmp_path: Path) -> None:
    units = plan(write(tmp_path, 1000), ShardingConfig(tmp_path, 300, LINES))
    spans = [(piece.start, piece.end) for unit in units for piece in unit.pieces]
    assert spans == [(0, 300), (300, 600), (600, 900), (900, None)]
    assert [unit.size for unit in units] == [300, 300, 300, 100]
    assert [unit.number for unit in units] == [0, 1, 2, 3]


def test_small_neighbours_share_a_unit_and_keep_their_order(tmp_path: Path) -> None:
    paths = write(tmp_path, 100, 100, 250, 10, 10)
    units = plan(paths, ShardingConfig(tmp_path, 300))
    numbers = [[piece.input for piece in unit.pieces] for unit in units]
    assert numbers == [[0, 1], [2, 3, 4]]
    assert sum(unit.size for unit in units) == 470


def test_much_text_is_cut_in_units_enough_for_many_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALLEST_UNIT", 50)
    paths = write(tmp_path, 64_000)
    assert len(plan(paths, ShardingConfig(tmp_path, reading=LINES))) == 64
    monkeypatch.setattr(module, "SMALLEST_UNIT", 16_000)
    assert len(plan(paths, ShardingConfig(tmp_path, reading=LINES))) == 4


def test_little_text_in_several_files_gives_some_workers_something_to_do(tmp_path: Path) -> None:
    sizes = [unit.size for unit in plan(write(tmp_path, *[700_000] * 14), ShardingConfig(tmp_path))]
    assert len(sizes) == 14
    assert len(plan(write(tmp_path, *[7_000] * 14), ShardingConfig(tmp_path))) == 1


@pytest.mark.parametrize("documents", ["file", "block", "line"])
def test_an_empty_file_keeps_its_place_among_the_inputs(tmp_path: Path, documents: str) -> None:
    paths = write(tmp_path, 10, 0, 10)
    units = plan(paths, ShardingConfig(tmp_path, reading=ReadingConfig(documents=documents)))
    assert [piece.path for unit in units for piece in unit.pieces] == paths


def test_only_a_search_for_duplicates_needs_more_than_one_pass(tmp_path: Path) -> None:
    assert ShardingConfig(tmp_path).passes == 1
    for kind in ("documents", "paragraphs", "near"):
        assert ShardingConfig(tmp_path, duplicates=Duplicates(**{kind: True})).passes == 3


def test_settings_are_what_json_holds_and_name_no_file_of_this_machine(tmp_path: Path) -> None:
    settings = ShardingConfig(tmp_path / "tokenizer", 300, LINES).settings()
    assert json.loads(json.dumps(settings)) == settings
    assert settings.keys() == {"shard_size", "reading", "cleaning", "duplicates"}
    assert str(tmp_path) not in json.dumps(settings)


def test_settings_include_the_hash_of_a_file_that_cleaning_reads(tmp_path: Path) -> None:
    file = tmp_path / "questions.txt"
    reported = []
    for text in ("what is the capital of a land", "what is the length of a river"):
        file.write_text(f"{text}\n")
        contamination = ContaminationConfig(on=True, files=(str(file),))
        reported.append(
            ShardingConfig(
                tmp_path, cleaning=CleaningConfig(contamination=contamination)
            ).settings()
        )
    assert reported[0] != reported[1]
    assert str(tmp_path) not in json.dumps(reported)
