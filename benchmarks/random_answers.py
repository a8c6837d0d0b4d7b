"""What answers to questions are worth that are drawn at random: the floor for any model.

``random_answers.py QUESTIONS [LANGUAGE]``: a span of the text is drawn for each question, as long
as a right answer that is drawn as well, in words, or in characters for ``zh``.
"""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

from dslm.metrics.questions import exact_match, f1
from dslm.tasks.records import records

DRAWS = 100
"""Answers drawn for each question."""


def floor(path: Path, language: str | None) -> tuple[float, float]:
    """F1 and exact match, by the rules of SQuAD 1.1 or, with a language, of MLQA."""
    unit = re.compile(r"\S" if language == "zh" else r"\S+")
    found = [record for _, record in records(path) if record and record["answers"]]
    sizes = [len(unit.findall(record["answers"][0]["text"])) for record in found]
    draw, sums = random.Random(0), [0.0, 0.0]
    for record in found:
        text, golds = record["context"], [answer["text"] for answer in record["answers"]]
        words = [match.span() for match in unit.finditer(text)]
        for _ in range(DRAWS):
            size = min(draw.choice(sizes), len(words))
            first = draw.randrange(len(words) - size + 1)
            answer = text[words[first][0] : words[first + size - 1][1]]
            for place, metric in enumerate((f1, exact_match)):
                sums[place] += metric(answer, golds, language, "1.1")
    return sums[0] / len(found) / DRAWS, sums[1] / len(found) / DRAWS


if __name__ == "__main__":
    f1_mean, exact = floor(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
    print(f"F1 {f1_mean:.4f}, exact match {exact:.4f}, {DRAWS} answers a question drawn")
