"""Text to tokens on one core: the whole of `shard` against `datasets.map` with the same tokenizer.

Ours reads files, tokenizes, writes shards, hashes and publishes them; the peer finds its text in
memory and keeps its tokens there.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import Options, Table, alternate, speedup, timed
from texts import corpus_files

from dslm.data.sharding import Sharding, shard
from dslm.data.tokenizer import MODEL
from dslm.data.tokenizer_training import Training, train_tokenizer

TEXT = 4_000_000
"""Bytes of text that are tokenized in a round, and that the tokenizer is trained on."""
VOCABULARY = 8000
ROUNDS = 7


def measure(options: Options) -> Table:
    """Tokenize the same text by both in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = corpus_files(folder, TEXT)
        train_tokenizer(files, folder / "tokenizer", Training("unigram", VOCABULARY))
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        mapped = _Mapped(files, folder / "tokenizer" / MODEL)
        rates = alternate(
            {
                "dslm": timed(lambda: _shard(files, folder), megabytes),
                "datasets": timed(mapped.tokenize, megabytes),
            },
            ROUNDS,
            "tokenizing",
        )
    setting = (
        f"{megabytes:.1f} MB of Python's library, a unigram tokenizer of {VOCABULARY:,} pieces, "
        f"one process; `datasets.map` in batches with the same SentencePiece model; "
        f"median of {ROUNDS} rounds"
    )
    row = speedup("text tokenized by a core", "—", rates["dslm"], rates["datasets"], "MB")
    return Table("Tokenizing", setting, [row])


def _shard(files: Sequence[Path], folder: Path) -> None:
    shutil.rmtree(folder / "shards", ignore_errors=True)
    shard(files, folder / "shards", Sharding(folder / "tokenizer"))


class _Mapped:
    """The peer: a dataset of documents and the tokenizer's model as SentencePiece opens it."""

    def __init__(self, files: Sequence[Path], model: Path) -> None:
        import datasets
        import sentencepiece

        datasets.disable_progress_bars()
        self.documents = datasets.Dataset.from_dict({"text": [path.read_text() for path in files]})
        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(model))

    def tokenize(self) -> None:
        """Map every document to its tokens."""
        self.documents.map(
            self._encode, batched=True, remove_columns="text", load_from_cache_file=False
        )

    def _encode(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"tokens": self.processor.encode(batch["text"])}
