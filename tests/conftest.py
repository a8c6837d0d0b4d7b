"""Small texts, tokenizers, shard sets and settings that the tests of several folders share."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.reading import Found, read_all
from helpers.shard_sets import sentences, write_set
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.shards.shard_set import ShardSet

pytest_plugins = ["helpers.browser", "helpers.rank_fixtures"]

settings.register_profile("dslm", deadline=None)  # a busy machine is not a failure
settings.load_profile("dslm")

# A shell has what it starts in the background ignore what a terminal sends, and so would all that
# the tests start. With a handler here, each new program begins with the system's own.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)


class Halves(LoadScopeScheduling):
    """Of two processes that share the tests, one breaks runs, which is mostly waiting."""

    def _split_scope(self, nodeid: str) -> str:
        return "faults" if nodeid.startswith("tests/faults/") else "others"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Halves:
    """How the tests are shared out."""
    return Halves(config, log)


@pytest.fixture(scope="session")
def make_shards(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes a shard set of a text's characters: ``make_shards(text)`` returns its folder."""

    def make(text: str) -> Path:
        folder = tmp_path_factory.mktemp("shards")
        (folder / "text.txt").write_text(text)
        train_tokenizer([folder / "text.txt"], folder / "tokenizer", TokenizerConfig("char", None))
        shard([folder / "text.txt"], folder / "set", ShardingConfig(folder / "tokenizer"))
        return folder / "set"

    return make


@pytest.fixture(scope="session")
def shard_set(make_shards: Any) -> Path:
    """About eight thousand tokens, 16 ids: enough for windows of 128."""
    return make_shards(" ".join(f"{n} plus {n} is {2 * n}." for n in range(400)))


@pytest.fixture(scope="session")
def deepspeed_settings() -> dict[str, Any]:
    """DeepSpeed's JSON for a batch of 16 windows, two at a time."""
    return {
        "train_batch_size": 16,
        "train_micro_batch_size_per_gpu": 2,
        "gradient_clipping": 1.0,
        "optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "torch_adam": True}},
        "zero_optimization": {"stage": 1},
    }


@pytest.fixture(scope="session")
def deepspeed_file(
    tmp_path_factory: pytest.TempPathFactory, deepspeed_settings: dict[str, Any]
) -> Path:
    """The same as a file."""
    path = tmp_path_factory.mktemp("deepspeed") / "zero1.json"
    path.write_text(json.dumps(deepspeed_settings))
    return path


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three text files and one file of JSON lines."""
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(3):
        (folder / f"{number}.txt").write_text(sentences(number, 600))
    lines = [json.dumps({"text": sentences(10 + number, 60)}) for number in range(40)]
    (folder / "lines.jsonl").write_text("\n".join(lines) + "\n")
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def unigram(tmp_path_factory: pytest.TempPathFactory, corpus: list[Path]) -> Path:
    folder = tmp_path_factory.mktemp("tokenizers") / "unigram"
    train_tokenizer(corpus, folder, TokenizerConfig("unigram", 300))
    return folder


@pytest.fixture(scope="session")
def characters(tmp_path_factory: pytest.TempPathFactory, corpus: list[Path]) -> Path:
    folder = tmp_path_factory.mktemp("tokenizers") / "char"
    train_tokenizer(corpus, folder, TokenizerConfig("char", None))
    return folder


@pytest.fixture
def text_shards(tmp_path: Path, corpus: list[Path], unigram: Path) -> ShardSet:
    """A shard set of several shards."""
    return shard(corpus, tmp_path / "set", ShardingConfig(unigram, shard_size=1000))[0]


@pytest.fixture
def counted_set(tmp_path: Path) -> Callable[..., ShardSet]:
    """Makes a set whose n-th token is n, cut into the given documents and into two shards."""

    def make(*lengths: int, batch_tokens: int = 50, name: str = "counted") -> ShardSet:
        documents = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
        half = (len(documents) + 1) // 2
        shards = [part for part in (documents[:half], documents[half:]) if part]
        return write_set(tmp_path / name, shards, batch_tokens)

    return make


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file: ``make(content, name)``."""

    def makes(content: bytes | str, name: str = "input") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return makes


@pytest.fixture(scope="session")
def read() -> Callable[..., Found]:
    """Reads one input: ``read(path, size, text_key=…)``."""
    return read_all
