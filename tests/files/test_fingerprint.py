"""What a file is known by."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dslm.files import fingerprint
from dslm.files.fingerprint import file_sha256


def test_a_hash_is_that_of_the_bytes_and_reports_how_many_it_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "BLOCK", 1000)
    content = bytes(range(256)) * 10
    (tmp_path / "file").write_bytes(content)
    blocks: list[int] = []
    assert file_sha256(tmp_path / "file", blocks.append) == hashlib.sha256(content).hexdigest()
    assert blocks == [1000, 1000, 560]
