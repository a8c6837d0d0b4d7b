from __future__ import annotations

import os
from pathlib import Path

import datasets

from dslm.preprocess.work.inputs import states


def test_a_file_of_a_saved_data_set_that_changed_is_noticed(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    datasets.Dataset.from_dict({"text": ["the river"]}).save_to_disk(saved)
    (before,) = states([saved])
    (file,) = saved.glob("*.arrow")
    os.utime(file, (1, 1))
    (after,) = states([saved])
    assert before != after
    assert before[0] == after[0] == "saved"
