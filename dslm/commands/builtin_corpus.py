"""``builtin_corpus``: a small corpus that needs no download."""

from __future__ import annotations

import shlex

from dslm.commands.cli import Parser, typed_path
from dslm.commands.shard_checks import unwritable
from dslm.errors import SetupError
from dslm.preprocess.builtin_corpus import gather, size
from dslm.progress import Progress, human

DESCRIPTION = """\
Gather the sources and documentation of Python's standard library as a small corpus.

  python preprocess/builtin_corpus.py --output corpus
"""


def main(arguments: list[str]) -> None:
    """Parse, gather, print what was made."""
    parser = Parser("builtin_corpus", DESCRIPTION)
    parser.add_argument("--output", type=typed_path, required=True, help="the folder to make")
    output = parser.parse_args(arguments).output
    if problems := unwritable("--output", output):
        raise SetupError(*problems)
    with Progress(size(), "B", "gathering") as progress:
        corpus, made = gather(output, progress.advance)
    print(f"{output}{'' if made else ' (already there)'}")
    for part, number in corpus.documents.items():
        print(f"  {part}: {number} documents, {human(corpus.bytes[part])}B")
    print("next:")
    text = shlex.quote(f"{output}/train*.txt")
    options = "--model-type unigram --vocab-size 8000 --output tok"
    print(f"  python preprocess/train_tokenizer.py --input {text} {options}")
