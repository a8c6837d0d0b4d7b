"""The progress of SentencePiece's trainer, and what happens when it cannot go on."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dslm.errors import SetupError
from dslm.preprocess.sentencepiece_trainer import RefusedError, train_pieces
from dslm.preprocess.train_tokenizer import TRAINER

LINES = [f"{n} times {m} makes {n * m} apples" for n in range(60) for m in range(60)]


def settings(kind: str, size: int = 400) -> dict[str, Any]:
    return {"model_type": kind, "vocab_size": size, **TRAINER}


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_progress_grows_to_its_total(kind: str) -> None:
    reported: list[tuple[str, float, float]] = []
    assert train_pieces(LINES, settings(kind), lambda *now: reported.append(now))
    done = [number for _, number, _ in reported]
    assert done == sorted(done)
    assert 0 < done[-1] <= reported[-1][2]
    assert done[-1] >= 0.9 * reported[-1][2]


def test_a_refusal_is_the_trainers_own_sentence() -> None:
    with pytest.raises(RefusedError, match="Vocabulary size"):
        train_pieces(LINES[:2], settings("unigram", 30_000), None)


def test_a_killed_trainer_is_reported_and_leaves_nothing() -> None:
    def kill(*_: object) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    slow = [sha256(line.encode()).hexdigest() * 8 for line in LINES * 3]
    with pytest.raises(SetupError, match="killed"):
        train_pieces(slow, settings("unigram"), kill)


def test_a_script_that_starts_itself_again_is_told_what_it_lacks(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "from dslm.errors import SetupError\n"
        "from dslm.preprocess.sentencepiece_trainer import train_pieces\n"
        "try:\n"
        "    train_pieces(['a b'] * 9, {'model_type': 'bpe', 'vocab_size': 9}, None)\n"
        "except SetupError as error:\n"
        "    print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=True
    )
    assert "if __name__ == '__main__':" in ended.stdout
    assert "memory" not in ended.stdout
