from __future__ import annotations

import gzip
import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dslm.config.parse import parse
from dslm.errors import DataError
from dslm.report.data_page import LISTED, Shown, figures, lengths, render, write_data_page
from dslm.report.data_samples import CHARACTERS, KEPT, REJECTED, Sample, kept, rejected
from dslm.shards.manifest import Manifest
from dslm.shards.shard_set import ShardSet
from dslm.shards.statistics import ELSEWHERE
from dslm.tokenizers.load import load_tokenizer

HOSTILE = '</pre><script>alert("x")</script>'
STATISTICS: dict[str, Any] = {
    "documents": 5,
    "tokens": 1000,
    "text_bytes": 3000,
    "sentences": 20,
    "maximum_token": 9,
    "changed": {"markup removed": 4},
    "left_out": {"duplicate": 3, "too short": 1},
    "broken": {"not JSON": 2},
    "examples": [f"a.jsonl: not JSON ({HOSTILE})"],
    "languages": {
        "en": {"documents": 4, "tokens": 900, "text_bytes": 2700},
        "": {"documents": 1, "tokens": 100, "text_bytes": 300},
    },
    "lengths": [0, 0, 1, 0, 4],
    "invisible": {"form feeds": 17},
}
SETTINGS: dict[str, Any] = {
    "shard_size": 256_000_000,
    "reading": {"documents": "file", "text_key": "body"},
    "cleaning": {
        "markup": {"on": False},
        "unicode": {"on": True, "form": "nfkc"},
        "whitespace": {"on": True},
    },
    "duplicates": {"documents": True, "paragraphs": False, "near": True, "rows": 8},
    "split": "train=98,validation=2",
    "set": "train",
}


def manifest(**changes: Any) -> Manifest:
    facts: dict[str, Any] = {
        "format": 2,
        "dtype": "uint16",
        "vocabulary": 32000,
        "tokenizer_sha256": "0" * 64,
        "statistics": STATISTICS,
        "settings": {},
        "inputs": [{"name": f"{HOSTILE}.txt", "bytes": 17, "sha256": "a" * 64}],
        "shards": [],
    }
    return parse(Manifest, {**facts, **changes})


def page_of(manifest: Manifest, name: str = "web", **more: Any) -> str:
    return render(manifest, Shown(f"/data/{name}", "2026-11-29 21:30", "unigram", **more))


class Page(HTMLParser):
    """Checks that elements are closed in order; keeps the tags, the text and widths of bars."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.widths: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.widths += [str(value) for name, value in attrs if name == "style"]
        assert not {name for name, _ in attrs} & {"src", "href", "onclick"}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def test_the_page_shows_every_count_with_its_share_of_what_it_is_part_of() -> None:
    page = Page(page_of(manifest()))
    shown = " ".join(" ".join(page.words).split())
    for text in (
        "Left out share of the 9 documents that were read",
        "duplicate 3 · 33.3 %",
        "too short 1 · 11.1 %",
        "Broken share of 11 records",
        "not JSON 2 · 18.2 %",
        "Documents by language share of the documents kept",
        "en 4 · 80.0 %",
        "? 1 · 20.0 %",
        "tokens a document 200",
        "bytes a token 3.00",
    ):
        assert text in shown, text
    for name, number in (("markup removed", 4), ("form feeds", 17)):
        assert f"{name} {number} " in shown, "of no whole that is known"
        assert f"{name} {number} ·" not in shown


def test_the_page_says_where_when_how_and_with_what_the_set_was_made() -> None:
    made = manifest(settings=SETTINGS, made_with={"dslm": "0.1"})
    shown = " ".join(" ".join(Page(page_of(made)).words).split())
    for text in (
        "folder /data/web made 2026-11-29 21:30 tokenizer unigram, 000000000000",
        "split train of train=98,validation=2",
        "made with dslm 0.1",
        "shard size 256MB",
        "text_key body",
        "cleaning: unicode form nfkc",
        "cleaning: whitespace on",
        "duplicates documents, near",
    ):
        assert text in shown, text
    assert "cleaning: markup" not in shown


def test_samples_are_shown_under_where_they_come_from() -> None:
    samples = [Sample(f"document {n}", f"text {n} {HOSTILE}") for n in range(2)]
    page = Page(page_of(manifest(), kept=samples, rejected={"too short": samples[:1]}))
    assert page.words.count("document 0") == 2
    assert page.words.count(f"text 1 {HOSTILE}") == 1
    assert page.words.index("too short") < len(page.words)
    assert "script" not in page.tags


def test_documents_of_a_set_are_spread_over_it_and_cut_short(shard_set: Path) -> None:
    shards = ShardSet.open(shard_set)
    (sample,) = kept(shards, load_tokenizer(shards.tokenizer))  # its only document
    assert sample.about.startswith("document 0 · ")
    assert sample.text == f"{(shard_set.parent / 'text.txt').read_text()[:CHARACTERS]} …"


def test_of_many_documents_some_are_shown(text_shards: ShardSet) -> None:
    samples = kept(text_shards, load_tokenizer(text_shards.tokenizer))
    numbers = [int(sample.about.split()[1]) for sample in samples]
    assert numbers == [text_shards.documents * n // KEPT for n in range(KEPT)]


def test_the_first_records_of_each_reason_are_shown(tmp_path: Path) -> None:
    records = [
        {"input": "a", "place": n, "reason": reason, "detail": "", "text": f"{reason} {n}"}
        for n in range(REJECTED + 2)
        for reason in ("too short", "duplicate")
    ]
    packed = gzip.compress("".join(json.dumps(one) + "\n" for one in records).encode())
    (tmp_path / "r.gz").write_bytes(packed)
    found = rejected(tmp_path / "r.gz")
    assert [*found] == ["duplicate", "too short"]
    assert [one.text for one in found["duplicate"]] == [f"duplicate {n}" for n in range(REJECTED)]
    assert found["duplicate"][1].about == "a at 1"
    for content in (packed[:-20], b"text", gzip.compress(b"[1]\n"), gzip.compress(b"{}")):
        (tmp_path / "bad.gz").write_bytes(content)
        with pytest.raises(DataError, match="is no file of rejected records; give the file that"):
            rejected(tmp_path / "bad.gz")
    with pytest.raises(DataError, match="no such file; give the file that"):
        rejected(tmp_path / "none.gz")


def test_the_longest_bar_is_full_and_the_others_are_in_proportion() -> None:
    widths = Page(page_of(manifest())).widths
    assert widths[:3] == ["width: 25.0%", "width: 0.0%", "width: 100.0%"]


def test_texts_of_others_are_no_markup_and_nothing_is_loaded() -> None:
    page = Page(page_of(manifest(), HOSTILE.replace("/", "_")))
    assert "script" not in page.tags
    assert f"a.jsonl: not JSON ({HOSTILE})" in page.words
    assert HOSTILE.replace("/", "_") in page.words


def test_lengths_go_from_the_shortest_to_the_longest_that_occur() -> None:
    assert lengths(manifest().statistics) == {"4 – 7": 1, "8 – 15": 0, "16 – 31": 4}
    assert lengths(manifest(statistics={}).statistics) == {}


def test_a_set_of_nothing_has_a_page_without_bars() -> None:
    empty = manifest(statistics={})
    assert Page(page_of(empty)).widths == []
    assert dict(figures(empty))["bytes a token"] == "0.00"


def test_removed_documents_are_reported_where_there_are_any() -> None:
    removed = [{"sha256": "b" * 64, "tokens": 7, "shard": "shard-00000.arrow"}]
    assert dict(figures(manifest(removed=removed)))["removed since"] == "1"
    assert "removed since" not in dict(figures(manifest()))


def test_documents_of_the_other_sets_of_a_split_are_not_left_out() -> None:
    left_out = {**STATISTICS["left_out"], ELSEWHERE: 487}
    one = manifest(statistics={**STATISTICS, "left_out": left_out})
    found = dict(figures(one))
    assert (found["left out"], found["in other sets"]) == ("4", "487")
    assert "in other sets" not in dict(figures(manifest()))
    shown = " ".join(" ".join(Page(page_of(one)).words).split())
    assert "Left out share of the 496 documents that were read" in shown
    assert "duplicate 3 · 0.6 %" in shown
    assert ELSEWHERE not in shown


def test_many_inputs_are_not_all_listed() -> None:
    inputs = [{"name": f"{n}.txt", "bytes": 1, "sha256": "a" * 64} for n in range(LISTED + 7)]
    text = page_of(manifest(inputs=inputs))
    assert f"{LISTED - 1}.txt" in text
    assert f"{LISTED}.txt" not in text
    assert "… and 7 more" in text


def test_the_page_is_written_whole_over_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("old")
    write_data_page(tmp_path / "page.html", manifest(), Shown("/data/web", "now", "char"))
    assert Page((tmp_path / "page.html").read_text(encoding="utf-8")).tags[0] == "html"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_folder_whose_name_is_no_unicode_has_a_page(tmp_path: Path) -> None:
    shown = Shown(os.fsdecode(b"/data/caf\xe9"), "now", "char")
    write_data_page(tmp_path / "page.html", manifest(), shown)
    assert "/data/caf?" in Page((tmp_path / "page.html").read_text(encoding="utf-8")).words


def test_the_same_set_gives_the_same_page(tmp_path: Path) -> None:
    facts = json.loads(json.dumps(STATISTICS))
    assert page_of(manifest()) == page_of(manifest(statistics=facts))
