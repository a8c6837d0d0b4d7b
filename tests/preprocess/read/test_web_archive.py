from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
from helpers.damage import Damage, damages
from helpers.reading import Make, Read
from hypothesis import HealthCheck, example, given, settings

OFTEN = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


def record(kind: str, media: str, content: bytes, version: str = "1.0") -> bytes:
    head = f"WARC/{version}\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://example.org/\r\n"
    head += f"Content-Type: {media}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content + b"\r\n\r\n"


def response(media: str, content: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\n{more}\r\n".encode()
    return record("response", "application/http; msgtype=response", head + content)


INFO = record("warcinfo", "application/warc-fields", b"software: test\r\n")
TEXTS = [f"Page {number} says:\ngrün, 語言.\n" * (number % 3 + 1) for number in range(12)]
PAGES = [record("conversion", "text/plain", text.encode()) for text in TEXTS]


def packed_each(records: list[bytes]) -> bytes:
    return b"".join(map(gzip.compress, records))


def packed_together(records: list[bytes]) -> bytes:
    return gzip.compress(b"".join(records))


@pytest.mark.parametrize("packed", [b"".join, packed_each, packed_together])
def test_each_record_of_text_is_a_document(
    make: Make, read: Read, packed: Callable[[list[bytes]], bytes]
) -> None:
    records = [INFO, *PAGES]
    path = make(packed(records))
    found = read(path)
    assert found.texts == TEXTS
    assert not found.rejected
    content = b"".join(records)
    assert [content[one.offset :][:4] for one in found.documents] == [b"WARC"] * len(TEXTS)


def test_plain_responses_are_read_and_others_counted(make: Make, read: Read) -> None:
    records = [
        response("text/plain", b"plain"),
        response("text/plain; charset=iso-8859-1", "grün".encode("latin-1")),
        response("text/html", b"<p>page</p>"),
        response("image/png", bytes(range(256))),
        response("text/plain", gzip.compress(b"packed"), "Content-Encoding: gzip\r\n"),
        record("request", "application/http; msgtype=request", b"GET / HTTP/1.1\r\n\r\n"),
        record("resource", "text/plain", b"whole", "1.1"),
        record("resource", "text/plain", b"old", "0.18"),
        record("resource", "text/plain", b"log").replace(b"http://", b"metadata://"),
    ]
    found = read(make(b"".join(records)))
    assert found.texts == ["plain", "grün", "whole", "old"]
    assert found.reasons == ["HTML (read WET files instead)", "no plain text", "no plain text"]
    assert not any(one.broken for one in found.rejected)


@OFTEN
@given(damage=damages)
@example(damage=Damage(0.828125, 0, 0, b"\x03\x01\x01"))  # a version begins in the content
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_place_costs_one_record(
    make: Make, read: Read, damage: Damage, packed: bool
) -> None:
    records = [gzip.compress(page) if packed else page for page in PAGES]
    found = read(make(damage.one_of(records), "a.warc.gz" if packed else "a.warc"))
    right = [text for text in found.texts if text in TEXTS]
    assert len(right) >= len(TEXTS) - 1
    assert len(found.texts) == len(TEXTS) or any(one.broken for one in found.rejected)


def test_a_record_of_which_only_the_beginning_is_there_costs_no_other(
    make: Make, read: Read
) -> None:
    head = PAGES[1].index(b"\r\n\r\n")
    for size in range(1, head):
        found = read(make(PAGES[0] + PAGES[1][:size] + b"".join(PAGES[2:]), f"{size}.warc"))
        assert found.texts == [TEXTS[0], *TEXTS[2:]]
        assert [one.broken for one in found.rejected] == [True]


def test_a_record_that_is_too_long_is_passed(make: Make, read: Read) -> None:
    long = record("response", "image/png", b"\n" * 70_000)
    found = read(make(PAGES[0] + long + PAGES[1]), longest=100)
    assert found.texts == TEXTS[:2]
    assert (found.reasons, found.details) == (["too long"], ["record 2: 70000 bytes"])


def test_a_cut_archive_gives_what_is_whole(make: Make, read: Read) -> None:
    content = b"".join(PAGES)
    for size in range(len(content) - len(PAGES[-1]) - 3, len(content), 7):
        found = read(make(content[:size], f"{size}.warc"))
        assert found.texts[:11] == TEXTS[:11]
        assert len(found.texts) + len(found.rejected) >= 11
