"""The benchmarks keep up with the library: what each imports is still there."""

from __future__ import annotations

import subprocess
import sys

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
