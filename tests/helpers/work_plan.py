"""The plan of a small piece of work."""

from __future__ import annotations

PLAN = {
    "inputs": [["a.jsonl", "10@1"], ["b.jsonl", "20@2"]],
    "settings": {"shard_size": 300, "reading": {"text_key": "text", "documents": "file"}},
    "tokenizer": "1" * 64,
    "made_with": {"numpy": "2.0"},
}
