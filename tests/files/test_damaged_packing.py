"""Packed files with one damaged place: wherever it is, little is lost, and that is told."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from helpers.damage import Damage, damages
from helpers.reading import Make, Read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dslm.files.streams import CutShortError, opened

CHECKED = {zstd.CompressionParameter.checksum_flag: 1}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": lambda content: zstd.compress(content, options=CHECKED),
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
SUFFIXES = {"gzip": "gz", "zstd": "zst", "bz2": "bz2", "xz": "xz"}
LINES = [json.dumps({"text": f"number {number} of many"}) for number in range(40)]
TEXTS = [json.loads(line)["text"] for line in LINES]
MANY = "".join(f"{line}\n" for line in LINES * 500).encode()
OFTEN = settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("packing", PACKERS)
@OFTEN
@given(damage=damages)
def test_a_damaged_member_costs_no_other_one(
    make: Make, read: Read, packing: str, damage: Damage
) -> None:
    members = [PACKERS[packing](f"{line}\n".encode()) for line in LINES]
    path = make(damage.one_of(members), f"a.jsonl.{SUFFIXES[packing]}")
    found = read(path)
    assert len([text for text in found.texts if text in TEXTS]) >= len(LINES) - 1
    assert len(found.texts) == len(LINES) or found.rejected[0].broken


@pytest.mark.parametrize("packing", ["gzip", "zstd", "bz2"])
@pytest.mark.parametrize("lost", [0, 7, 38])
def test_zeros_in_the_place_of_a_member_are_counted(
    make: Make, read: Read, packing: str, lost: int
) -> None:
    members = [PACKERS[packing](f"{line}\n".encode()) for line in LINES]
    members[lost] = bytes(len(members[lost]))
    found = read(make(b"".join(members), f"a.jsonl.{SUFFIXES[packing]}"))
    assert found.texts == TEXTS[:lost] + TEXTS[lost + 1 :]
    assert found.reasons == ["cut short"]


def test_zeros_at_the_end_are_padding(make: Make, read: Read) -> None:
    for packing, packed in PACKERS.items():
        found = read(make(packed(MANY) + bytes(700), f"a.jsonl.{SUFFIXES[packing]}"))
        assert (len(found.texts), found.rejected) == (len(LINES) * 500, [])


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("mode", ["line", "file"])
@OFTEN
@given(share=st.floats(0.01, 1))
def test_a_cut_file_gives_what_its_library_gives_byte_by_byte(
    make: Make, read: Read, packing: str, mode: str, share: float
) -> None:
    content = "grün, 語言 und so\n".encode() * 300
    packed = PACKERS[packing](content)
    cut = packed[: max(int(share * len(packed)), 12)]
    unpacker = {
        "gzip": lambda: zlib.decompressobj(31),
        "zstd": zstd.ZstdDecompressor,
        "bz2": bz2.BZ2Decompressor,
        "xz": lzma.LZMADecompressor,
    }[packing]()
    whole = b"".join(unpacker.decompress(cut[at : at + 1]) for at in range(len(cut)))
    found = read(make(cut, f"a.txt.{SUFFIXES[packing]}"), documents=mode)
    glue = "\n" if mode == "line" else ""
    assert glue.join(found.texts) == whole.decode("utf-8", "ignore").removesuffix(glue)
    assert found.reasons == ([] if len(cut) == len(packed) else ["cut short"])
    ended = whole.endswith(b"\n") or not whole
    line = 1 if mode == "file" else len(found.texts) + ended
    assert all(detail.startswith(f"line {line}: not whole {packing}") for detail in found.details)


@pytest.mark.parametrize("packing", PACKERS)
def test_what_stands_behind_the_packing_costs_nothing_and_is_told(
    make: Make, read: Read, packing: str
) -> None:
    packed = PACKERS[packing](MANY)
    found = read(make(packed + b"garbage!"))
    assert found.texts == TEXTS * 500
    assert found.reasons == ["cut short"]
    assert found.details == [
        f"line 20001: not whole {packing}: something else at byte {len(packed)}"
    ]
    assert not read(make(packed + bytes(512), "padded")).rejected


def test_a_member_that_is_cut_in_a_character_keeps_the_next_line_apart(
    make: Make, read: Read
) -> None:
    packer = zlib.compressobj(wbits=31)
    half = packer.compress("Grö".encode()[:-1]) + packer.flush(zlib.Z_FULL_FLUSH)
    no_block = b"\x07"
    found = read(make(half + no_block + gzip.compress(b"next\n")), documents="line")
    assert found.texts == ["Gr", "next"]
    assert found.reasons == ["cut short"]


def test_a_file_whose_first_bytes_are_damaged_is_known_by_its_name(make: Make, read: Read) -> None:
    members = [gzip.compress(f"{line}\n".encode()) for line in LINES]
    found = read(make(b"?" + b"".join(members)[1:], "a.jsonl.gz"))
    assert found.texts == TEXTS[1:]
    assert found.reasons == ["cut short"]


@pytest.mark.parametrize("size", [0, 1, 2, 5, 11])
@pytest.mark.parametrize("packing", PACKERS)
def test_a_file_of_which_next_to_nothing_is_left_is_counted(
    make: Make, read: Read, packing: str, size: int
) -> None:
    found = read(make(PACKERS[packing](MANY)[:size], f"a.jsonl.{SUFFIXES[packing]}"))
    assert (found.texts, found.reasons) == ([], ["cut short"])
    plain = read(make("words", f"a.txt.{SUFFIXES[packing]}"))
    assert plain.texts == ["words"], "a name does not make a text a packed file"


def test_who_cannot_do_with_a_part_of_a_file_is_told_by_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(MANY)[:-9])
    with opened(tmp_path / "a.gz", "gzip") as file, pytest.raises(CutShortError, match="not whole"):
        file.read()
