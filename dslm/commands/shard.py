"""``shard``: a shard set from text and a tokenizer."""

from __future__ import annotations

from pathlib import Path

from dslm.commands.run import Parser
from dslm.commands.text_options import add_text_options, count, reading, size
from dslm.data.readers import expand, text_size
from dslm.data.shard_set import ShardSet
from dslm.data.sharding import SHARD_SIZE, Sharding, shard
from dslm.progress import Progress, human

DESCRIPTION = """\
Turn text into shards that training reads.

  python preprocess/shard.py --input 'corpus/train*.txt' --tokenizer tok \\
      --output shards/train --workers 2
"""


def main(arguments: list[str]) -> None:
    """Parse, shard, tell what was made."""
    options = _parser().parse_args(arguments)
    paths = expand(options.input)
    sharding = Sharding(options.tokenizer, options.shard_size, reading(options))
    with Progress(sum(map(text_size, paths)), "B", "sharding") as progress:
        shards, made = shard(paths, options.output, sharding, options.workers, progress.advance)
    print(f"{options.output}{'' if made else ' (already there)'}")
    for line in _summary(shards):
        print(f"  {line}")
    print("next:")
    command = "deepspeed launch/pretrain.py tiny --deepspeed_config ds_configs/zero1_fp32.json"
    print(f"  {command} data.train={options.output} run=runs/a")


def _summary(shards: ShardSet) -> list[str]:
    manifest = shards.manifest
    files = f"{len(manifest.shards)} shard{'s' if len(manifest.shards) > 1 else ''}"
    size = sum(shard.bytes for shard in manifest.shards)
    ratio = shards.text_bytes / shards.tokens
    lines = [
        f"{shards.documents:,} documents, {human(shards.tokens)} tokens, "
        f"{ratio:.2f} bytes of text a token",
        f"{files} of {manifest.dtype}, {human(size)}B",
    ]
    notes = {
        "with invalid UTF-8 replaced": manifest.replaced,
        "skipped for invalid UTF-8": manifest.skipped,
        "left out because they are empty": manifest.empty,
    }
    return lines + [f"{number:,} documents {what}" for what, number in notes.items() if number]


def _parser() -> Parser:
    parser = Parser("shard", DESCRIPTION)
    add_text_options(parser)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a tokenizer folder")
    parser.add_argument("--output", type=Path, required=True, help="the folder to make")
    parser.add_argument(
        "--workers", type=count, default=1, metavar="N", help="processes (default: %(default)s)"
    )
    parser.add_argument(
        "--shard-size",
        type=size,
        default=SHARD_SIZE,
        metavar="SIZE",
        help=f"tokens in a file, in bytes (default: {SHARD_SIZE // 10**6}MB)",
    )
    return parser
