"""Where the documents of a shard set came from, and what they are: for people who look into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dslm.arrays import Int64Array
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class Provenance:
    """One document of a shard set."""

    number: int
    """Its number among the documents of the set."""
    input: str
    """The file it was read from, below the folder of all inputs."""
    place: int
    """Where it begins there: a byte of the unpacked text, or the number of a row."""
    sha256: str
    """The hash of its text after cleaning."""
    language: str
    """The language that was identified, if languages were."""
    text_bytes: int
    """UTF-8 bytes of its text."""
    tokens: int
    """Its tokens, what is put before and behind a text included."""
    sentences: int
    """Its sentences."""


class ProvenanceReader:
    """Looks documents up; each is found without reading those before it.

    Args:
        shards: the set.
    """

    def __init__(self, shards: ShardSet) -> None:
        self.shards = shards
        self._files: dict[str, list[Any]] = {}

    def __call__(self, number: int) -> Provenance:
        """One document.

        Raises:
            IndexError: there is no such document.
        """
        batch, row = self.shards.row_of(number)
        facts = self._row(batch, row)
        first, last = self.shards.document(number)
        return Provenance(
            number=number,
            input=self.shards.manifest.inputs[facts["input"]].name,
            place=facts["place"],
            sha256=facts["sha256"].hex(),
            language=facts["language"],
            text_bytes=facts["text_bytes"],
            tokens=last - first,
            sentences=self.shards.sentences_of(number).size,
        )

    def text(self, number: int, tokenizer: Tokenizer) -> str:
        """The text of a document, back from its tokens."""
        first, last = self.shards.document(number)
        first += len(self.shards.begin)
        tokens = self.shards.windows(np.array([first]), last - first)[0]
        return tokenizer.decode(tokens.tolist())

    def between(self, first: int, last: int) -> Int64Array:
        """The numbers of the documents that have a part in tokens `first` … `last - 1`."""
        ends = self.shards.documents_at(np.array([first, last - 1], dtype=np.int64))
        return np.arange(ends[0], ends[1] + 1)

    def _row(self, batch: int, row: int) -> dict[str, Any]:
        import pyarrow

        path, number = self.shards.shard_of(batch)
        if path.name not in self._files:
            source = pyarrow.memory_map(str(path))
            self._files[path.name] = list(pyarrow.ipc.open_stream(source))
        columns = ["input", "place", "language", "text_bytes", "sha256"]
        part = self._files[path.name][number].slice(row, 1).select(columns)
        return dict(part.to_pylist()[0])
