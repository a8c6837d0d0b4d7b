"""The benchmarks keep up with the library: what each imports is still there."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from helpers.paths import ROOT


def test_every_benchmark_imports() -> None:
    names = [path.stem for path in sorted((ROOT / "benchmarks").glob("*.py"))]
    ended = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(names)}"],
        cwd=ROOT / "benchmarks",
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}", "PATH": "", "DS_ACCELERATOR": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("wanted", "ours", "ratio", "missed"),
    [
        ("≤ 1.15×", "652 ms", "1.11×", False),
        ("≤ 1.15×", "652 ms", "1.19×", True),
        ("≤ 1.15×", "652 ms", "1.15×", False),
        ("≥ 1.2×", "1,155 tokens/s", "1.19×", True),
        ("≥ 5 MB/s", "6.7 MB/s (6.6 MB/s)", "0.98×", False),
        ("≥ 5 MB/s", "4.7 MB/s", "2.98×", True),
        ("≤ 4 s", "5.1 s", "0.70×", True),
        ("< 1e-04", "1e-07", "—", False),
        ("—", "1 s", "9.00×", False),
    ],
)
def test_a_bound_that_is_not_met_is_marked(
    wanted: str, ours: str, ratio: str, missed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    page, measure = (importlib.import_module(name) for name in ("page", "measure"))
    row = measure.Row("a claim", wanted, ours, "—", ratio)
    assert ("**missed**" in page._line(row)) is missed
