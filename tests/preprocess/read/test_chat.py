"""Chats and instructions become plain text; what only looks like one is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from helpers.reading import Make, Read

PARTS = [{"type": "text", "text": "Red?"}, {"type": "image"}, {"type": "text", "text": "Blue?"}]
OPENAI = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
SHAREGPT = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]
CALLS = [{"id": "1", "type": "function", "function": {"name": "sum", "arguments": "[1, 2]"}}]
HI_HO = "User: Hi\n\nAssistant: Ho"

SHAPES: list[tuple[dict[str, Any], str]] = [
    ({"messages": OPENAI}, HI_HO),
    ({"id": 1, "conversations": SHAREGPT}, HI_HO),
    ({"conversations": OPENAI}, HI_HO),
    ({"system": "Be kind.", "messages": OPENAI}, f"System: Be kind.\n\n{HI_HO}"),
    ({"messages": [{"role": "user", "content": PARTS}]}, "User: Red?\nBlue?"),
    ({"messages": [*OPENAI, {"role": "tool", "content": None}]}, HI_HO),
    ({"instruction": "Hi", "input": "", "output": "Ho"}, HI_HO),
    ({"instruction": "Add", "input": "1, 2", "output": "3"}, "User: Add\n\n1, 2\n\nAssistant: 3"),
    ({"instruction": "B", "output": "b", "history": [["A", "a"]]}, "User: A\n\nAssistant: a\n\n"
     "User: B\n\nAssistant: b"),
    ({"prompt": "Hi", "completion": "Ho"}, HI_HO),
    ({"prompt": OPENAI[:1], "completion": OPENAI[1:]}, HI_HO),
    ({"prompt": "Hi", "response": "Ho"}, HI_HO),
    ({"instruction": "Add", "context": "1, 2", "response": "3"},
     "User: Add\n\n1, 2\n\nAssistant: 3"),
    ({"messages": [{"role": "user", "content": ["Red?", "Blue?"]}]}, "User: Red?\nBlue?"),
    ({"messages": [{"role": "assistant", "content": None, "tool_calls": CALLS}]},
     'Assistant: {"name": "sum", "arguments": "[1, 2]"}'),
]  # fmt: skip


@pytest.mark.parametrize(("record", "text"), SHAPES)
@pytest.mark.parametrize("layout", ["lines", "list"])
def test_a_chat_is_one_document(
    make: Make, read: Read, record: dict[str, Any], text: str, layout: str
) -> None:
    line = json.dumps(record)
    found = read(make(f"{line}\n{line}\n" if layout == "lines" else f"[{line},\n{line}]"))
    assert found.texts == [text, text]
    assert found.counts == {"rendered from chat": 2}


def test_a_text_or_a_key_that_was_asked_for_comes_first(make: Make, read: Read) -> None:
    path = make(json.dumps({"text": "plain", "messages": OPENAI}))
    assert read(path).texts == ["plain"]
    assert read(path, text_key="messages[].content").texts == ["Hi", "Ho"]


@pytest.mark.parametrize(
    "record",
    [
        {"messages": ["Hi"]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "tool_calls": 5}]},
        {"conversations": [{"role": "user", "text": "under another key"}]},
        {"instruction": "a", "output": "b", "history": ["a"]},
        {"instruction": "a", "output": "b", "history": 5},
    ],
)
def test_a_chat_without_texts_is_broken(make: Make, read: Read, record: dict[str, Any]) -> None:
    found = read(make(json.dumps(record) + "\n" + json.dumps({"messages": OPENAI})))
    assert (found.texts, found.reasons) == ([HI_HO], ["not text"])


@pytest.mark.parametrize("form", ["parquet", "stream"])
def test_columns_of_chats_are_read(tmp_path: Path, read: Read, form: str) -> None:
    table, path = pa.table({"id": [1, 2], "messages": [OPENAI, OPENAI]}), tmp_path / form
    if form == "parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    assert read(path).texts == [HI_HO, HI_HO]
