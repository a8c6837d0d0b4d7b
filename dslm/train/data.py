"""The shard sets of a run: opened, checked against the model, and served as batches.

The path of the data: `open_sources` opens the folders that the settings name and computes their
shares; `check_sources_fit` reports what is wrong with them; `open_stream` cuts them into rows and
orders these. `batches` makes a step's examples of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslm.errors import DataError, Problem, Problems
from dslm.objectives.base import Context, Objective
from dslm.run.config import DataConfig, RunConfig
from dslm.sampling.augment import AugmentationConfig, margin
from dslm.sampling.augmented import AugmentedStream
from dslm.sampling.examples import ExampleRows
from dslm.sampling.grouped import GroupedStream
from dslm.sampling.order import BLOCK, Phase, apportion, tempered
from dslm.sampling.packed import PackedRows
from dslm.sampling.stream import Stream, check_sources, check_window
from dslm.sampling.windows import Windows
from dslm.shards.labels import of_units, task_of
from dslm.shards.shard_set import ShardSet
from dslm.tasks.registry import make_objective
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import TokenizerCard
from dslm.tokenizers.vocabulary import Vocabulary
from dslm.train.missing_shards import open_shards


@dataclass(frozen=True)
class Sources:
    """What a run reads."""

    train: tuple[ShardSet, ...]
    weights: tuple[float, ...] | None
    validation: ShardSet | None

    @property
    def all(self) -> tuple[ShardSet, ...]:
        """Every shard set of the run."""
        return self.train if self.validation is None else (*self.train, self.validation)

    @property
    def tokens(self) -> int:
        """Tokens of the training data."""
        return sum(source.tokens for source in self.train)

    def record(self) -> dict[str, Any]:
        """What ``run.json`` says of the data."""
        weights = self.weights or ()
        shares = [{"weight": weight, "share": weight / math.fsum(weights)} for weight in weights]
        pairs = zip(self.train, shares or [{}] * len(self.train), strict=True)
        train = [{**_record(source), **share} for source, share in pairs]
        return {"train": train, "validation": self.validation and _record(self.validation)}


def open_sources(config: DataConfig) -> Sources:
    """Open every shard set of a run.

    Raises:
        DataError: with all problems of all of them.
    """
    named = [config.train] if isinstance(config.train, str) else list(config.train)
    if not named:
        raise DataError(
            Problem("data.train", config.train, "names no shard set", "name one or more")
        )
    found = Problems()
    validation = [config.validation] if config.validation else []
    keys = {"data.train": named, "data.validation": validation}
    pairs = [(key, Path(one)) for key, folders in keys.items() for one in folders]
    sets = [found.collect(open_shards, *pair) for pair in pairs]
    opened = [one for one in sets if one is not None]
    if found.problems:
        raise DataError(*found.problems)
    train = tuple(opened[: len(named)])
    return Sources(train, _weights(config, train), opened[-1] if config.validation else None)


def _weights(config: DataConfig, train: tuple[ShardSet, ...]) -> tuple[float, ...] | None:
    """The share of each shard set, in any unit; `None` when every row is read once an epoch."""
    if len(train) == 1:
        return None
    if config.temperature is not None:
        return tuple(tempered([source.tokens for source in train], config.temperature))
    return tuple(config.train.values()) if isinstance(config.train, dict) else None


def objective_of(
    config: RunConfig, tokenizer: Path, train: Sequence[ShardSet] = (), units: bool = False
) -> Objective:
    """The objective of a run.

    Args:
        config: the settings.
        tokenizer: the folder of that of its text.
        train: what is learned from, where it is to be learned from.
        units: whether each unit of a text had a label where it was learned from.
    """
    vocabulary, data, chosen = Vocabulary.load(tokenizer), config.data, config.objective
    context = Context(
        config.model.sequence,
        config.seed,
        data.document_borders,
        vocabulary,
        data.packing != "none",
        config.model.attention == "full",
        config.pipeline_stages == 1,
        config.model.encoder_layers > 0,
        config.label_smoothing,
        chosen.selected.class_weights(chosen.settings, train),
        config.model.segments,
        units,
    )
    return make_objective(chosen, context)


def check_sources_fit(sources: Sources, config: RunConfig, objective: Objective) -> list[Problem]:
    """Whether the shard sets fit together, fit the model and can be read as they are to be."""
    vocabulary = config.model.vocabulary
    problems = _check_training(sources, config.data, objective)
    validation = sources.validation
    if validation is not None:
        problems += check_window(validation, objective.window.width)
        first = sources.train[0]
        if rule := validation.unlike(first.tokenizer_sha256, first.begin, "data.train"):
            fix = f"shard it with --tokenizer {sources.train[0].tokenizer}"
            problems.append(Problem("data.validation", str(validation.folder), rule, fix))
    needed = max(max(source.vocabulary, source.maximum_token + 1) for source in sources.all)
    needed += objective.extra_ids
    if vocabulary is not None and vocabulary < needed:
        more = (
            f", {objective.extra_ids} of the objective's among them" if objective.extra_ids else ""
        )
        rule = f"is too small: the shards hold token ids up to {needed - 1}{more}"
        fix = f"use model.vocabulary={needed} or more, or null"
        problems.append(Problem("model.vocabulary", vocabulary, rule, fix))
    return problems


def _check_training(sources: Sources, config: DataConfig, objective: Objective) -> list[Problem]:
    """Whether the training data can be mixed, packed and changed."""
    width = objective.window.width
    needed = width + margin(width, config.augmentation.drop)
    given = sources.weights if config.temperature is None else None
    problems = check_sources(sources.train, given, needed)
    missing = _check_special(sources.train[0], config, objective)
    problems += missing
    if not missing:
        problems += [p for shards in sources.all for p in objective.check_shards(shards)]
    if config.temperature is not None and sources.weights is not None:
        counts = apportion(sources.weights, BLOCK)
        for source in (s for s, n in zip(sources.train, counts, strict=True) if n == 0):
            rule = f"leaves less than one row in {BLOCK:,} to {source.folder}"
            fix = "raise it, or leave that set out"
            problems.append(Problem("data.temperature", config.temperature, rule, fix))
    return problems


def _check_special(shards: ShardSet, config: DataConfig, objective: Objective) -> list[Problem]:
    """Whether the tokenizer has the special ids that the settings need."""
    asks = "data.document_borders=true" if config.document_borders else "objective.kind"
    needed = {asks: objective.special()} if objective.special() else {}
    if config.packing != "none":
        needed[f"data.packing={config.packing}"] = ("eos",)
    if config.augmentation.shuffle_sentences:
        needed["data.augmentation.shuffle_sentences=true"] = ("eos",)
    special = TokenizerCard.load(shards.tokenizer).special if needed else {}
    missing = {key: [name for name in needed[key] if name not in special] for key in needed}
    return [
        Problem(
            key,
            None,
            f"needs ids for {' and '.join(names)}, which the tokenizer of {shards.folder} lacks",
            "shard the text with one that has them (ours of pieces, or BERT's), or leave it out",
        )
        for key, names in missing.items()
        if names
    ]


def open_stream(
    sources: Sources,
    config: RunConfig,
    objective: Objective,
    phases: Sequence[Phase] = (),
    shifted: bool = True,
) -> Stream:
    """Cut the training data into rows, and put these in order.

    Packing takes about a second for a million documents (see `packed`), and the tables of the
    augmentation as long for a large vocabulary; everything else takes no time.
    """
    data, train, window = config.data, sources.train, objective.window
    shifted = shifted and not objective.repeats
    own = [source for shards in train if (source := objective.source(shards)) is not None]
    examples = [source for source in own if isinstance(source, ExampleRows)]
    if data.length_groups and sources.weights is None and sum(map(len, examples)) >= BLOCK:
        return GroupedStream(examples, config.seed)
    if own:
        return Stream(own, sources.weights, config.seed, phases, shifted)
    if data.packing == "best_fit":
        special = TokenizerCard.load(train[0].tokenizer).special
        padding = special.get("pad", special["eos"])
        packed = [PackedRows(shards, window.width, padding) for shards in train]
        return Stream(packed, sources.weights, config.seed, phases)
    spare = margin(window.width, data.augmentation.drop)
    windows = [Windows(shards, window, spare) for shards in train]
    if data.augmentation == AugmentationConfig():
        return Stream(windows, sources.weights, config.seed, phases, shifted)
    tokenizer = load_tokenizer(train[0].tokenizer)
    return AugmentedStream(
        windows, sources.weights, config.seed, data.augmentation, tokenizer, phases, shifted
    )


def _record(source: ShardSet) -> dict[str, Any]:
    return {
        "folder": str(source.folder),
        "tokens": source.tokens,
        "documents": source.documents,
        "text_bytes": source.text_bytes,
        "fingerprint": source.fingerprint,
        **({"classes": [*task.classes]} if (task := task_of(source)) else {}),
        **({"units": True} if of_units(source) else {}),
    }
