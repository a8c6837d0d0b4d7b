"""Labelled corpora as JSON lines: sentences with classes, words with tags, each with a split."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

Records = list[dict[str, Any]]
FOLDS = 10
"""Parts of the corpora that have no split; the first one is the test of a single run."""
POLARITY = "sentence_polarity", {"negative": "rt-polarity.neg", "positive": "rt-polarity.pos"}
SUBJECTIVITY = "subjectivity", {"plot": "plot.tok.gt9.5000", "opinion": "quote.tok.gt9.5000"}


@dataclass(frozen=True)
class Labelled:
    """A corpus that is learned from, and how."""

    task: str
    """That of dslm."""
    split: Callable[[Path], tuple[Records, Records]]
    """Training and test, of the folder of corpora."""
    chinese: bool = False
    batch: int = 32
    epochs: int = 2
    rate: float = 5e-4

    def steps(self, records: int) -> int:
        """Of a run on so many records."""
        return self.epochs * -(-records // self.batch)


def polarity(corpora: Path) -> tuple[Records, Records]:
    """Sentences of film reviews, positive or negative (Pang & Lee 2005)."""
    return fold(sentences(corpora, *POLARITY), 0)


def sentences(corpora: Path, name: str, members: Mapping[str, str]) -> Records:
    """The sentences of an archive, which has a file for each class; the classes in turns."""
    with zipfile.ZipFile(corpora / "movie_polarity" / f"{name}.zip") as packed:
        files = [packed.read(f"{name}/{member}") for member in members.values()]
    texts = [file.decode("latin-1").splitlines() for file in files]
    return [
        {"text": text.strip(), "label": label}
        for row in zip(*texts, strict=True)
        for text, label in zip(row, members, strict=True)
    ]


def fold(records: Records, number: int) -> tuple[Records, Records]:
    """Training and test: every tenth pair of neighbours, which are of either class, is the test."""
    apart = [n // 2 % FOLDS == number for n in range(len(records))]
    pairs = [*zip(records, apart, strict=True)]
    return [one for one, test in pairs if not test], [one for one, test in pairs if test]


def wikigold(corpora: Path) -> tuple[Records, Records]:
    """Entities in Wikipedia (Balasuriya et al. 2009); of 145 articles every fifth is the test."""
    path, articles = corpora / "ner_wikigold" / "wikigold.conll.txt", [Records()]
    for record in _tagged(path, " "):
        words, tags = ([*values] for values in (record["words"], record["tags"]))
        ends = "-DOCSTART-" in words
        keep = [n for n, word in enumerate(words) if word != "-DOCSTART-"]
        if keep:
            found = {"words": [words[n] for n in keep], "tags": [tags[n] for n in keep]}
            articles[-1].append(found)
        if ends:
            articles.append([])
    parts = articles[::5], [one for n, one in enumerate(articles) if n % 5]
    test, train = ([*chain.from_iterable(part)] for part in parts)
    return train, test


def wnut(corpora: Path) -> tuple[Records, Records]:
    """Entities in messages of users (WNUT 2017, Derczynski et al.), its own split."""
    folder = corpora / "ner_wnut17"
    names = "wnut17train.conll", "emerging.test.annotated"
    train, test = ([*_tagged(folder / name, "\t")] for name in names)
    return train, test


def csl(corpora: Path) -> tuple[Records, Records]:
    """Titles of Chinese papers in 13 fields (CSL, Li et al. 2022), its own split."""
    train, test = (
        [*_titles(corpora / "csl_zh" / "cls_ctg" / f"{n}.tsv")] for n in ("train", "test")
    )
    return train, test


def abstracts(corpora: Path) -> list[str]:
    """Chinese texts to learn the language from: abstracts, and the titles of training."""
    files = sorted((corpora / "csl_zh").glob("*/*.tsv"))
    papers = [path for path in files if path.parent.name != "cls_ctg"]
    lines = chain.from_iterable(path.read_text(encoding="utf-8").splitlines() for path in papers)
    texts = [line.split("\t")[1] for line in lines]
    return [*dict.fromkeys([*texts, *(one["text"] for one in csl(corpora)[0])])]


def write(records: Iterable[dict[str, Any]], path: Path) -> Path:
    """Records as JSON lines."""
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def _tagged(path: Path, between: str) -> Iterator[dict[str, Any]]:
    """The sentences of a file with a word and its tag in a line, and empty lines between them."""
    for block in path.read_text(encoding="utf-8").replace("\t\n", "\n").split("\n\n"):
        pairs = [line.rsplit(between, 1) for line in block.splitlines() if line.strip()]
        if pairs:
            yield {"words": [word for word, _ in pairs], "tags": [tag for _, tag in pairs]}


def _titles(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        _, title, field = line.split("\t")
        yield {"text": title, "label": field}


CORPORA = {
    "movie_polarity": Labelled("classification", polarity),
    "ner_wikigold": Labelled("tagging", wikigold, batch=16, epochs=6, rate=1e-3),
    "ner_wnut17": Labelled("tagging", wnut, epochs=4, rate=1e-3),
    "csl_zh": Labelled("classification", csl, chinese=True, epochs=3),
}
