from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest
from backports import zstd
from helpers.reading import Make, Read

from dslm.errors import DataError
from dslm.files.streams import opened

PACKERS = {"gzip": gzip.compress, "zstd": zstd.compress, "bz2": bz2.compress, "xz": lzma.compress}
LINES = [json.dumps({"text": f"number {number} of many"}) + "\n" for number in range(20_000)]
CONTENT = "".join(LINES).encode()


@pytest.mark.parametrize("packing", PACKERS)
def test_members_behind_each_other_are_one_content(make: Make, read: Read, packing: str) -> None:
    packed = PACKERS[packing]
    path = make(packed(CONTENT[:1000]) + packed(CONTENT[1000:5000]) + packed(b"\n"))
    assert read(path).documents[:100] == read(make(CONTENT[:5000], "plain")).documents[:100]


@pytest.mark.parametrize("packing", PACKERS)
def test_what_comes_before_a_cut_is_kept(make: Make, read: Read, packing: str) -> None:
    packed = PACKERS[packing](CONTENT)
    found = read(make(packed[: len(packed) * 9 // 10]))
    assert found.texts == [json.loads(line)["text"] for line in LINES[: len(found.texts)]]
    assert found.reasons == ["cut short"]
    assert found.rejected[0].broken
    assert found.details[0].startswith(f"line {len(found.texts) + 1}: not whole {packing}")
    assert packing == "bz2" or len(found.texts) > 5000  # bz2 packs blocks of 900 kB


@pytest.mark.parametrize("packing", PACKERS)
def test_damage_is_reported_once(make: Make, read: Read, packing: str) -> None:
    packed = bytearray(PACKERS[packing](CONTENT))
    packed[len(packed) // 2 : len(packed) // 2 + 200] = bytes(200)
    found = read(make(bytes(packed)))
    assert found.reasons.count("cut short") == 1
    assert f"not whole {packing}" in found.details[found.reasons.index("cut short")]


def test_a_skippable_frame_of_zstd_is_skipped(make: Make, read: Read) -> None:
    assert read(make(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd.compress(CONTENT))).texts


def test_a_file_that_vanished_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt: No such file"):
        opened(tmp_path / "a.txt")


def test_an_error_of_who_takes_the_rejections_is_not_an_error_of_the_file(make: Make) -> None:
    from dslm.preprocess.read.documents import documents
    from dslm.preprocess.read.reading import ReadingConfig
    from dslm.preprocess.read.source import Piece

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    path = make(gzip.compress(b'{"text": 5}\n'))
    with pytest.raises(OSError, match="No space left"):
        list(documents(Piece(0, path), ReadingConfig(), full))


@pytest.mark.parametrize(
    "packed",
    [
        lzma.compress(CONTENT, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]),
        zstd.compress(CONTENT[:99]) + b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3]) + bytes(99),
    ],
    ids=["xz", "zstd"],
)
def test_a_file_that_asks_for_too_much_memory_is_refused(
    make: Make, read: Read, packed: bytes
) -> None:
    with pytest.raises(
        DataError, match="input: takes too much memory to unpack; unpack it, or pipe"
    ):
        read(make(packed))


def test_xz_of_the_highest_levels_and_with_padding_is_read(make: Make, read: Read) -> None:
    packed = lzma.compress(CONTENT, preset=9) + bytes(8) + lzma.compress(CONTENT) + bytes(4)
    assert len(read(make(packed)).texts) == 2 * len(LINES)


def test_zstd_with_the_window_of_its_long_mode_is_read(make: Make, read: Read) -> None:
    packed = zstd.compress(CONTENT, options={zstd.CompressionParameter.window_log: 27})
    assert read(make(packed)).texts
