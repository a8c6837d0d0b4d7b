"""What a mistake at a command must say; those about prompts and how they are completed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mistake:
    """What is typed behind ``dslm``, and pieces of the line that must come."""

    typed: str
    key: str
    fix: str
    lines: int | None = None
    """How many must come, where a second one is easily said in vain."""


PROMPT_MISTAKES = [
    Mistake("generate runs/a --prompts nada.txt", "nada.txt", "give a file of prompts"),
    Mistake("generate runs/a --prompts shards", "Is a directory", "give a file of prompts"),
    Mistake("generate runs/a --prompts p/none.txt", "holds no prompts", "write one a line"),
    Mistake("generate runs/a --prompts p/gap.txt", "p/gap.txt, line 2: is empty", "remove it", 1),
    Mistake("generate runs/a --prompts p/long.txt", "p/long.txt, line 2: gives 40", "shorten it"),
    Mistake("generate runs/a --prompts p/odd.txt", "p/odd.txt, line 1: character 'Ω'", "leave it"),
    Mistake("generate runs/a --prompts p/latin.txt", "line 2: is not UTF-8", "save the file"),
    Mistake(
        "generate runs/a --prompts p/b.jsonl", 'p/b.jsonl, line 2: has no "prompt"', "write", 4
    ),
    Mistake("generate runs/a --prompts p/b.jsonl --seed 1", "line 3: is no JSON", "write"),
    Mistake("generate runs/a --prompts p/b.jsonl --seed 2", "line 4", "write"),
    Mistake("generate runs/a --prompts p/many.jsonl", "p/many.jsonl: 20 lines more", "", 11),
    Mistake("generate runs/a --prompts p/ok.txt --prompt 1", "come from one place", "leave out", 1),
    Mistake("generate runs/a --prompts p/ok.txt --batch 0", "--batch = 0", "use 16"),
    Mistake("generate runs/a --prompt 1 --beams 2 --top-k 3", "--beams = 2", "leave out --temp"),
    Mistake("generate runs/a --prompt 1 --beams 2 --samples 3", "draws nothing", "leave out", 1),
    Mistake("generate runs/a --prompt 1 --length-penalty 2", "--length-penalty", "add --beams 4"),
    Mistake("generate runs/a --prompt 1 --temperature 0 --samples 2", "the same", "raise the"),
    Mistake("generate runs/a --prompt 1 --repetition-penalty 0", "above 0", "use 1.2"),
    Mistake("generate runs/a --prompt 1 --log-probabilities", "as JSON", "add --json"),
    Mistake("generate runs/a --prompt 1 --output text.txt", "text.txt", "choose another file"),
    Mistake("generate runs/a --prompt 1 --output nada/x", "nada is not a folder", "choose another"),
    Mistake('generate runs/bert --prompt "<mask>" --beams 2', "fills all masks", "leave it out", 1),
]


def write_prompts(folder: Path) -> None:
    """Files of prompts, most of which cannot be used."""
    folder.mkdir()
    files = {"none.txt": "", "gap.txt": "1\n\n2\n", "long.txt": f"1\n{'1' * 40}\n"}
    files |= {"odd.txt": "Ω\n", "ok.txt": "1\n", "many.jsonl": "{}\n" * 30}
    files["b.jsonl"] = '{"prompt": "1"}\n{"text": "1"}\n{\n{"prompt": 1}\n[1]\n'
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "latin.txt").write_bytes(b"1\n\xe9\n")
