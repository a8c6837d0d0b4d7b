"""The rows of a shard, many at once: arrays of tokens, documents and sentences."""

from __future__ import annotations

from dataclasses import dataclass

from dslm.arrays import Float32Array, Int64Array, Tokens


@dataclass(frozen=True)
class Rows:
    """Some documents, tokenized."""

    tokens: Tokens
    """The ids of all documents, each with what is put before and behind it."""
    ends: Int64Array
    """[documents + 1]: where each document begins in `tokens`, and where the last one ends."""
    sentences: Int64Array
    """The first token of each sentence, counted from that of its document."""
    sentence_ends: Int64Array
    """[documents + 1]: where the sentences of each document begin in `sentences`."""
    inputs: Int64Array
    """[documents]: `Document.input`."""
    offsets: Int64Array
    """[documents]: `Document.offset`."""
    languages: list[str]
    """[documents]: `Document.language`."""
    hashes: list[bytes]
    """[documents]: sha256 of the text."""
    text_bytes: Int64Array
    """[documents]: UTF-8 bytes of the text."""
    labels: Float32Array | None = None
    """What is to be learned of each document, where it is an example of a task: class numbers,
    flags, amounts, or a number for each of its tokens."""
    label_ends: Int64Array | None = None
    """[documents + 1]: where the labels of each document begin in `labels`."""
    references: list[bytes] | None = None
    """[documents]: JSON, what a prediction is compared with beyond the labels."""

    def __len__(self) -> int:
        return self.ends.size - 1

    def slice(self, start: int, stop: int) -> Rows:
        """The documents from `start` to before `stop`."""
        first, last = self.ends[start], self.ends[stop]
        first_sentence, last_sentence = self.sentence_ends[start], self.sentence_ends[stop]
        labels = ends = references = None
        if self.labels is not None and self.label_ends is not None:
            references = self.references and self.references[start:stop]
            ends = self.label_ends[start : stop + 1] - self.label_ends[start]
            labels = self.labels[self.label_ends[start] : self.label_ends[stop]]
        return Rows(
            tokens=self.tokens[first:last],
            ends=self.ends[start : stop + 1] - first,
            sentences=self.sentences[first_sentence:last_sentence],
            sentence_ends=self.sentence_ends[start : stop + 1] - first_sentence,
            inputs=self.inputs[start:stop],
            offsets=self.offsets[start:stop],
            languages=self.languages[start:stop],
            hashes=self.hashes[start:stop],
            text_bytes=self.text_bytes[start:stop],
            labels=labels,
            label_ends=ends,
            references=references,
        )
