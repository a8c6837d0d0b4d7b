"""DeepSpeed makes no folder called ``~``."""

from __future__ import annotations

from pathlib import Path

import pytest

from dslm.parallel.deepspeed_json.homes import with_homes


def test_the_home_of_the_user_stands_for_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    offload = {"device": "nvme", "nvme_path": "~/swap", "buffer_count": 4}
    file = {"zero_optimization": {"offload_param": offload}, "log_level": "~/x"}
    moved = {**offload, "nvme_path": f"{tmp_path}/swap"}
    assert with_homes(file) == {
        "zero_optimization": {"offload_param": moved},
        "log_level": "~/x",
    }
    assert offload["nvme_path"] == "~/swap"
