"""Against pyarrow's own conversions, which are the oracle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dslm.arrays import strings, to_arrow, to_numpy


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.uint32, np.int64, np.uint64])
@pytest.mark.parametrize("size", [0, 5])
def test_numbers_go_to_arrow_and_back(kind: type[np.number[Any]], size: int) -> None:
    values = np.arange(2 * size, dtype=kind)[::2]
    array = to_arrow(values)
    array.validate(full=True)
    assert array.equals(pa.array(values))
    assert to_numpy(array[1:]).tolist() == values[1:].tolist()


@pytest.mark.parametrize("texts", [[], [""], ["", "文", "abc", ""]])
def test_texts_go_to_arrow(texts: list[str]) -> None:
    array = strings([text.encode() for text in texts], pa.string())
    array.validate(full=True)
    assert array.equals(pa.array(texts, pa.string()))


def test_tokenizing_and_writing_do_not_load_pandas(tmp_path: Path, unigram: Path) -> None:
    reported = f"""
import sys
from pathlib import Path
from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
Path({str(tmp_path / "text.txt")!r}).write_text("It was dark. The river ran. " * 50)
shard([Path({str(tmp_path / "text.txt")!r})], Path({str(tmp_path / "out")!r}),
      ShardingConfig(Path({str(unigram)!r})))
sys.exit("pandas" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", reported], check=False).returncode == 0
