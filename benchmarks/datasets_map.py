"""The peer of `tokenizing`, as its users write it: ``datasets_map.py TEXT MODEL FOLDER``."""

import sys
from pathlib import Path
from typing import Any

import datasets
import sentencepiece

if __name__ == "__main__":
    text, model, folder = map(Path, sys.argv[1:])
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    datasets.disable_progress_bars()

    def encode(batch: dict[str, Any]) -> dict[str, Any]:
        """The ids of some texts; without the number of threads it takes all cores."""
        return {"tokens": processor.encode(batch["text"], num_threads=1)}

    loaded = datasets.load_dataset(
        "json", data_files=str(text), split="train", cache_dir=str(folder / "cache")
    )
    mapped = loaded.map(encode, batched=True, remove_columns="text")
    mapped.save_to_disk(str(folder / "mapped"))
