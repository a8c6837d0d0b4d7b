"""Small models of `transformers`, and small runs of ours, as folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from helpers.hub import (
    COUSINS,
    TASK_COUSINS,
    TASKS,
    THEIRS,
    TOKENIZERS,
    byte_level,
    train_each_kind,
    write_checkpoint,
)
from helpers.models import build, shaken

from dslm.config.parse import parse
from dslm.model.config import ModelConfig
from dslm.model.stages import layer_seed
from dslm.run.config import RunConfig
from dslm.run.folder import RunFolder
from dslm.tokenizers.load import load_tokenizer


@pytest.fixture
def home(tmp_path: Path) -> Callable[..., Path]:
    """Saves a model of theirs with a tokenizer: ``home(model)`` returns the folder."""

    def save(model: Any, name: str = "theirs", **settings: Any) -> Path:
        folder = tmp_path / name
        model.save_pretrained(folder, **settings)
        if hasattr(model, "num_labels") and model.config.model_type != "bert":
            tokenizer = byte_level(True)
        else:
            tokenizer = TOKENIZERS.get(model.config.model_type, byte_level)()
        tokenizer.save(str(folder / "tokenizer.json"))
        return folder

    return save


@pytest.fixture
def theirs() -> Callable[[str], Any]:
    """Makes a model of theirs of one of the kinds, no weight of which is zero or one.

    But rows of tables that serve nothing are zero, as they are written again.
    """

    def make(kind: str) -> Any:
        model = shaken({**THEIRS, **TASKS, **COUSINS, **TASK_COUSINS}[kind]())
        for name, weight in model.named_parameters():
            if kind == "bart" and name.endswith("embed_positions.weight"):
                weight.data[:2] = 0
        return model

    return make


@pytest.fixture(scope="session")
def trained_tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tokenizers of ours of every kind."""
    return train_each_kind(tmp_path_factory.mktemp("tokenizers"))


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run of ours: ``make_run(tokenizer, **shape)`` returns its folder."""

    def make(
        tokenizer: Path,
        padding: int = 0,
        objective: Any = None,
        classes: Sequence[str] = (),
        **shape: Any,
    ) -> Path:
        size = load_tokenizer(tokenizer).vocabulary + padding
        small = {"layers": 2, "heads": 4, "width": 32, "sequence": 32, "vocabulary": size}
        config = ModelConfig(**{**small, **shape, "classes": len(classes)})
        run = RunFolder(tmp_path / "run")
        load_tokenizer(tokenizer).save(run.tokenizer)
        values = {"preset": "tiny", "model": asdict(config), "steps": 9, "run": str(run.path)}
        values |= {"data": {"train": "shards"}, "objective": objective or {}}
        settings = asdict(parse(RunConfig, values))
        read = [{"classes": [*classes]}] if classes else []
        run.write_record({"format": 1, "config": settings, "data": {"train": read}})
        write_checkpoint(run, shaken(build(config, layer_seed(0, size))))
        return run.path

    return make
