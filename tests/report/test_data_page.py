from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from dslm.config.parse import parse
from dslm.report.data_page import LISTED, figures, lengths, render, write_data_page
from dslm.shards.manifest import Manifest

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


def test_the_page_shows_every_count_with_its_share() -> None:
    page = Page(render("web", manifest()))
    shown = " ".join(page.words)
    for text in (
        "duplicate 3 · 75.0 %",
        "too short 1 · 25.0 %",
        "not JSON 2 · 100.0 %",
        "markup removed 4",
        "en 4 · 80.0 %",
        "? 1 · 20.0 %",
        "tokens a document 200",
        "bytes a token 3.00",
    ):
        assert text in shown, text


def test_the_longest_bar_is_full_and_the_others_are_in_proportion() -> None:
    widths = Page(render("web", manifest())).widths
    assert widths[:3] == ["width: 25.0%", "width: 0.0%", "width: 100.0%"]


def test_texts_of_others_are_no_markup_and_nothing_is_loaded() -> None:
    page = Page(render(HOSTILE, manifest()))
    assert "script" not in page.tags
    assert f"a.jsonl: not JSON ({HOSTILE})" in page.words
    assert HOSTILE in page.words


def test_lengths_go_from_the_shortest_to_the_longest_that_occur() -> None:
    assert lengths(manifest().statistics) == {"4 – 7": 1, "8 – 15": 0, "16 – 31": 4}
    assert lengths(manifest(statistics={}).statistics) == {}


def test_a_set_of_nothing_has_a_page_without_bars() -> None:
    empty = manifest(statistics={})
    assert Page(render("empty", empty)).widths == []
    assert dict(figures(empty))["bytes a token"] == "0.00"


def test_removed_documents_are_reported_where_there_are_any() -> None:
    removed = [{"sha256": "b" * 64, "tokens": 7, "shard": "shard-00000.arrow"}]
    assert dict(figures(manifest(removed=removed)))["removed since"] == "1"
    assert "removed since" not in dict(figures(manifest()))


def test_many_inputs_are_not_all_listed() -> None:
    inputs = [{"name": f"{n}.txt", "bytes": 1, "sha256": "a" * 64} for n in range(LISTED + 7)]
    text = render("web", manifest(inputs=inputs))
    assert f"{LISTED - 1}.txt" in text
    assert f"{LISTED}.txt" not in text
    assert "… and 7 more" in text


def test_the_page_is_written_whole_over_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("old")
    write_data_page(tmp_path, manifest(), tmp_path / "page.html")
    assert Page((tmp_path / "page.html").read_text(encoding="utf-8")).tags[0] == "html"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_the_same_set_gives_the_same_page(tmp_path: Path) -> None:
    facts = json.loads(json.dumps(STATISTICS))
    assert render("web", manifest()) == render("web", manifest(statistics=facts))
