"""Text to tokens on one core: the whole of `shard` against `datasets.map` with the same tokenizer.

Both begin at the same file of JSON lines in gzip and end with tokens on the disk; ours hashes them
and finds sentences as well.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from measure import Options, Row, Table, alternate, speedup, timed
from texts import corpus_files

from dslm.data.sharding import shard
from dslm.data.tokenizer import MODEL
from dslm.data.tokenizer_training import Training, train_tokenizer
from dslm.data.work.plan import Choices, Sharding

TEXT = 12_000_000
"""Bytes of text that are tokenized in a round."""
SAMPLE = 8_000_000
"""Bytes of text that the tokenizers are trained on."""
DOCUMENT = 3000
"""Characters of a document."""
VOCABULARY = 32_000
ROUNDS = 3


def measure(options: Options) -> Table:
    """Tokenize the same text by both in turns."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = corpus_files(folder / "corpus", TEXT)
        packed, megabytes = _pack(files, folder / "text.jsonl.gz")
        for kind in ("unigram", "bpe"):
            tokenizer = folder / kind
            train_tokenizer(files, tokenizer, Training(kind, VOCABULARY, sample_bytes=SAMPLE))
            work = {
                "plain": partial(_shard, packed, folder, tokenizer, "none"),
                "cleaned": partial(_shard, packed, folder, tokenizer, "web"),
                "datasets": _Mapped(packed, folder, tokenizer / MODEL).tokenize,
            }
            timers = {name: timed(one, megabytes) for name, one in work.items()}
            rates = alternate(timers, ROUNDS, kind)
            for name, target in (("plain", "≥ 2.5×"), ("cleaned", "—")):
                what = f"{kind}, {'every cleaning step on' if name == 'cleaned' else 'no cleaning'}"
                rows.append(speedup(what, target, rates[name], rates["datasets"], "MB"))
    setting = (
        f"{megabytes:.0f} MB of text in documents of {DOCUMENT:,} characters, .jsonl.gz to tokens "
        f"on the disk, one process; tokenizers of {VOCABULARY:,} pieces; the peer is "
        f"`load_dataset`, `map` in batches with the same SentencePiece model and no cleaning, "
        f"`save_to_disk`; "
        f"median of {ROUNDS} rounds"
    )
    return Table("Tokenizing", setting, rows)


def _pack(files: Sequence[Path], target: Path) -> tuple[Path, float]:
    """All text as JSON lines in gzip, and its megabytes."""
    text = "\n".join(path.read_text() for path in files)
    documents = [text[start : start + DOCUMENT] for start in range(0, len(text), DOCUMENT)]
    with gzip.open(target, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": document}) + "\n" for document in documents)
    return target, len(text.encode()) / 1e6


def _shard(packed: Path, folder: Path, tokenizer: Path, clean: str) -> None:
    shutil.rmtree(folder / "shards", ignore_errors=True)
    chosen = Choices.read(clean, [])
    sharding = Sharding(tokenizer, cleaning=chosen.cleaning, duplicates=chosen.duplicates)
    shard([packed], folder / "shards", sharding)


class _Mapped:
    """The peer: a dataset of documents and the tokenizer's model as SentencePiece opens it."""

    def __init__(self, packed: Path, folder: Path, model: Path) -> None:
        import datasets
        import sentencepiece

        datasets.disable_progress_bars()
        self.packed, self.folder = packed, folder
        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(model))

    def tokenize(self) -> None:
        """Map every document to its tokens."""
        import datasets

        cache = self.folder / "cache"
        shutil.rmtree(cache, ignore_errors=True)
        loaded = datasets.load_dataset(
            "json", data_files=str(self.packed), split="train", cache_dir=str(cache)
        )
        mapped = loaded.map(self._encode, batched=True, remove_columns="text")
        mapped.save_to_disk(str(self.folder / "mapped"))

    def _encode(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"tokens": self.processor.encode(batch["text"])}
