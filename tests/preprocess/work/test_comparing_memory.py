"""What deciding on duplicates needs of memory when some processes share it.

The benchmark's own measurement, with fewer documents: signatures as of many, and no texts.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from helpers.paths import ROOT

pytestmark = pytest.mark.slow

UNDIVIDED = {
    "all different": (69, 100_000),
    "a tenth shares all its bands": (161, 60_000),
    "ten paragraphs each": (519, 40_000),
}
"""Bytes a document in one process that holds all hashes at once, and documents to measure with."""
MEASURED = """\
import json, sys
from duplicates_memory import figures
shape, documents, processes = sys.argv[1:]
print(json.dumps(figures(shape, int(documents), 16, int(processes))))
"""


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("shape", UNDIVIDED)
def test_a_process_needs_no_more_than_its_share(shape: str, processes: int) -> None:
    undivided, documents = UNDIVIDED[shape]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, shape, f"{documents}", f"{processes}"],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}", "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peaks = json.loads(done.stdout)
    assert len(peaks) == processes
    assert max(peaks) <= 1.2 * undivided / processes
