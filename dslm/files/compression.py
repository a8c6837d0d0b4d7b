"""Packed files: how each kind is recognised, and all of its content that damage leaves.

A file is a row of members (gzip), frames (zstd) or streams (bz2, xz), each packed by itself. Of a
damaged one everything that can be unpacked before the damage is given, as ``gzip -dc`` does; then
the next one is looked for, so that a damaged place costs one member and not the rest of the file.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, cast

from backports import zstd
from isal import igzip_lib

MOST_MEMORY = 1 << 28
"""Bytes that unpacking may take: ``xz -9`` takes 65 MB, but a file may ask for any amount."""
WIDEST_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 27}
"""128 MiB, that of ``zstd --long``; a file made with ``--long=31`` would take 2 GiB."""
TOO_MUCH = ("Memory usage limit exceeded", "requires too much memory")
"""What the libraries say of a file that would take more."""
DAMAGE = (
    EOFError,
    OSError,
    cast("type[Exception]", igzip_lib.error),
    lzma.LZMAError,
    zlib.error,
    zstd.ZstdError,
)
"""What the libraries raise for packed bytes that are cut short or damaged."""
BLOCK = 1 << 17
STEP = 1 << 10
"""Packed bytes that are taken at a time where the last good one is looked for."""
BACK = 1 << 20
"""Damage may be noticed late; the next member is looked for from so many bytes before that."""
NEAR = 64
"""The same where something else follows what looked whole."""
HEADER = 16
"""Bytes by which a member is recognised, at most."""


class TooMuchMemoryError(Exception):
    """A file asks for more than `MOST_MEMORY` to be unpacked."""


@dataclass(frozen=True)
class Compression:
    """One way in which a file is packed."""

    magic: re.Pattern[bytes]
    """How such a file begins."""
    member: re.Pattern[bytes]
    """The same, so strict that it does not occur by chance."""
    unpacker: Callable[[], Any]
    """Makes the fastest unpacker of a member."""
    careful: Callable[[], Any]
    """Makes one that gives everything before a damaged byte when it is fed byte by byte."""
    ratio: int
    """Bytes of text in a byte of the file, about; progress and pieces are measured with it."""
    suffix: str
    """How the name of such a file usually ends."""
    begins: bytes
    """Its first bytes, as far as they are always the same."""


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, MOST_MEMORY)


def _zstd() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options=WIDEST_WINDOW)


BZ2 = re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)")
XZ = re.compile(rb"\xfd7zXZ\x00")
COMPRESSIONS = {
    "gzip": Compression(
        re.compile(rb"\x1f\x8b\x08"),
        # RFC 1952: no reserved flag, any time, a level and a system that are defined
        re.compile(rb"\x1f\x8b\x08[\x00-\x1f][\x00-\xff]{4}[\x00\x02\x04][\x00-\x0d\xff]"),
        partial(igzip_lib.IgzipDecompressor, flag=igzip_lib.DECOMP_GZIP),
        partial(zlib.decompressobj, 16 + zlib.MAX_WBITS),
        3,
        ".gz",
        b"\x1f\x8b\x08",
    ),
    "zstd": Compression(
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
        re.compile(rb"\x28\xb5\x2f\xfd"),
        _zstd,
        _zstd,
        3,
        ".zst",
        b"\x28\xb5\x2f\xfd",
    ),
    "bz2": Compression(BZ2, BZ2, bz2.BZ2Decompressor, bz2.BZ2Decompressor, 4, ".bz2", b"BZh"),
    "xz": Compression(XZ, XZ, _xz, _xz, 4, ".xz", b"\xfd7zXZ\x00"),
}


def ratio(compression: str) -> int:
    """Bytes of text in a byte of a file that is packed so, or not at all; about."""
    return COMPRESSIONS[compression].ratio if compression else 1


def compression_of(head: bytes) -> str:
    """The kind of a file that begins with `head`: a key of `COMPRESSIONS`, or nothing."""
    return next((name for name, kind in COMPRESSIONS.items() if kind.magic.match(head)), "")


def kind_named(name: str) -> str:
    """The kind that the name of a file says."""
    name = name.lower()
    return next((key for key, kind in COMPRESSIONS.items() if name.endswith(kind.suffix)), "")


def unpacked(file: BinaryIO, compression: str, damaged: Callable[[str], None]) -> Iterator[bytes]:
    """The content of a packed file, in blocks that are not empty.

    Args:
        file: the packed file, which can be sought.
        compression: a key of `COMPRESSIONS`.
        damaged: called at each damaged place, between the blocks before and after it, with what
            is wrong there.

    Raises:
        TooMuchMemoryError: see there.
    """
    kind, packed, member = COMPRESSIONS[compression], _Packed(file), -1
    refused, behind = False, 0
    if not packed.start():
        damaged(f"not whole {compression}: it is empty")
    while packed.skip_padding():
        start, given = packed.position, 0
        if start > behind and compression != "xz":  # which pads streams
            damaged(f"not whole {compression}: zeros at byte {behind}")
        if kind.magic.match(packed.start()):
            member = start
            try:
                for block in _member(kind.unpacker(), packed):
                    given, refused = given + len(block), False
                    yield block
                behind = packed.position
                continue
            except DAMAGE as error:
                what = str(error)
                refused = any(sign in what for sign in TOO_MUCH)
            back = max(start + 1, packed.position - BACK)
            yield from _before_damage(kind.careful(), packed, start, given)
        else:
            # without a checksum, one that lacks bytes ends within the next one and looks whole
            what, back = f"something else at byte {start}", max(start - NEAR, member + 1)
        damaged(f"not whole {compression}: {what}")
        packed.find(kind.member, back)
        behind = packed.position
    if refused:  # and nothing that could be unpacked follows, so that it is no damage
        raise TooMuchMemoryError


def _member(unpacker: Any, packed: _Packed) -> Iterator[bytes]:
    """The content of a member; afterwards `packed` is behind it."""
    while not unpacker.eof:
        fed = packed.take(BLOCK) if unpacker.needs_input else b""
        if unpacker.needs_input and not fed:
            raise EOFError("it ends within what is packed")
        if block := unpacker.decompress(fed, BLOCK):
            yield block
    packed.give_back(unpacker.unused_data)


def _before_damage(unpacker: Any, packed: _Packed, start: int, given: int) -> Iterator[bytes]:
    """What a damaged member holds beyond its first `given` bytes, unpacked once more.

    The library that fails keeps what it has unpacked in the same call to itself. So the packed
    bytes that it was given last are fed one by one.
    """
    last = packed.position - packed.taken
    packed.seek(start)
    with suppress(*DAMAGE):
        while not unpacker.eof and (fed := packed.take(STEP if packed.position < last else 1)):
            block = unpacker.decompress(fed)
            if len(block) > given:
                yield block[given:]
            given = max(given - len(block), 0)


class _Packed:
    """The bytes of a packed file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._held = file, b""
        self.position, self.taken = 0, 0

    def seek(self, place: int) -> None:
        """Go to a byte of the file."""
        self._file.seek(place)
        self.position, self._held = place, b""

    def start(self) -> bytes:
        """The next bytes, which stay."""
        while len(self._held) < HEADER and (more := self._file.read(BLOCK)):
            self._held += more
        return self._held

    def take(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        held = self._held or self._file.read(BLOCK)
        taken, self._held = held[:size], held[size:]
        self.taken = len(taken)
        self.position += self.taken
        return taken

    def give_back(self, rest: bytes) -> None:
        """Go back by the bytes that were not needed."""
        self._held = rest + self._held
        self.position -= len(rest)

    def skip_padding(self) -> bool:
        """Go behind zeros; gives whether something is left."""
        while start := self.start():
            self._pass(len(start) - len(start.lstrip(b"\0")))
            if self._held:
                return True
        return False

    def find(self, member: re.Pattern[bytes], place: int) -> None:
        """Go to the first member that begins at a byte or later, or to the end."""
        self.seek(place)
        while more := self._file.read(BLOCK):
            self._held += more
            if found := member.search(self._held):
                self._pass(found.start())
                return
            self._pass(max(len(self._held) - HEADER, 0))
        self._held = b""

    def _pass(self, size: int) -> None:
        self.position += size
        self._held = self._held[size:]
