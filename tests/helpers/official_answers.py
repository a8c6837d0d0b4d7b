"""Answers and their scores by the official scripts, which are given by their paths.

python tests/helpers/official_answers.py evaluate-v1.1.py evaluate-v2.0.py mlqa_evaluation_v1.py 200

The first two are those of SQuAD, the third is that of MLQA; the last argument is how many answers.
`tests/metrics/answers.jsonl` is what this printed.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from collections.abc import Sequence
from types import ModuleType

LANGUAGES = ("en", "es", "de", "vi", "ar", "hi", "zh")

PIECES = [
    "a",
    "an",
    "the",
    "The",
    "THE",
    "Ein",
    "eine",
    "der",
    "das",
    "un",
    "una",
    "los",
    "của",
    "là",
    "الكتاب",
    "والكتاب",
    "किताब",
    "中国",
    "的",
    "北京。",
    "「茶」",
    "tea",
    "Tea,",
    "tea.",
    "(tea)",
    "ten",
    "10",
    "1,000",
    "10%",
    "U.S.",
    "–",
    "—",
    "…",
    "“quoted”",
    "«wort»",
    "don't",
    "é",
    "É",
    "İ",
    "ß",
    "Straße",
    "$5",
    "_x_",
    "~",
    "theatre",
    "an-other\u3000wide",
    "¿qué?",
    "‑",
    ",",
    ".",
    "\t",
    "\xa0",
    "\u200b",
]


def script(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(drawn: random.Random, pieces: Sequence[str], most: int) -> str:
    chosen = drawn.choices(pieces, k=drawn.randint(0, most))
    return drawn.choice([" ", " ", "  ", ""]).join(chosen)


def answers(drawn: random.Random) -> tuple[str, list[str]]:
    """A prediction, often with pieces of the right answers, and up to three of those."""
    pieces = drawn.sample(PIECES, drawn.choice([5, 10, len(PIECES)]))
    return text(drawn, pieces, 6), [text(drawn, pieces, 5) for _ in range(drawn.randint(0, 3))]


def scored(prediction: str, golds: list[str], scripts: list[ModuleType]) -> dict[str, list[float]]:
    """Exact match and F1 of a prediction: by SQuAD 1.1, 2.0, and MLQA in each language."""
    first, second, mlqa = scripts
    question = {"id": "0", "answers": [{"text": gold} for gold in golds]}
    raw = second.get_raw_scores([{"paragraphs": [{"qas": [question]}]}], {"0": prediction})
    found = {"2.0": [float(scores["0"]) for scores in raw]}
    for name in ("1.1", *LANGUAGES) if golds else ():
        module, rest = (first, []) if name == "1.1" else (mlqa, [name])
        metrics = module.exact_match_score, module.f1_score
        best = module.metric_max_over_ground_truths
        found[name] = [float(best(metric, prediction, golds, *rest)) for metric in metrics]
    return found


def main(*arguments: str) -> None:
    *paths, count = arguments
    scripts, drawn = [script(path) for path in paths], random.Random(1)
    for _ in range(int(count)):
        prediction, golds = answers(drawn)
        found = scored(prediction, golds, scripts)
        print(json.dumps([prediction, golds, found], ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
