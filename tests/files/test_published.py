from __future__ import annotations

import errno
from pathlib import Path

import pytest

from dslm.errors import SetupError
from dslm.files.published import published


def test_a_full_disk_wants_space(tmp_path: Path) -> None:
    fix = "No space left on device; free some space or choose another place"
    with pytest.raises(SetupError, match=fix), published(tmp_path / "made"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_wants_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError) as caught, published(tmp_path / "file" / "made"):
        pass
    assert "space" not in str(caught.value)
    assert "choose another place" in str(caught.value)
