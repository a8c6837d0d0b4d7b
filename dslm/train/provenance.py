"""Which documents a training step saw: computed from the step's number, without a replay.

The path of a step: `metrics.jsonl` says how many samples came before it; the training order turns
its samples into spans of tokens; a search among the ends of documents turns these into documents,
whose provenance is in the shards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslm.errors import ConfigError, Problem
from dslm.run.bad_steps import Gaps, gaps_of, read_skipped
from dslm.run.folder import RunFolder
from dslm.run.metrics import read_metrics
from dslm.shards.provenance import Provenance, ProvenanceReader
from dslm.train.data import objective_of, open_sources, open_stream
from dslm.train.mixture import SHIFTED, read_phases


@dataclass(frozen=True)
class SampleTrace:
    """One span of tokens that a step saw: a row, or a part of one."""

    sample: int
    """Its number in the order of training."""
    rank: int
    """The replica that saw it."""
    folder: Path
    """The shard set it is from."""
    first: int
    """Its first token, counted over the set."""
    last: int
    """The token after its last."""
    documents: list[Provenance]
    """The documents that it touches. Where tokens are dropped at random, the last ones of the
    sample may have lost all of theirs."""


def trace(run: Path, step: int, rank: int | None) -> Iterator[SampleTrace]:
    """What a step of a run saw.

    Args:
        run: the folder of the run; its shard sets must be where they were.
        step: from 1.
        rank: only what this replica saw; `None` for all.

    Raises:
        UserError: no such run, step or rank, or the shards are not those of the run.
    """
    folder = RunFolder(run)
    record = folder.read()
    if "plan" not in record:
        raise ConfigError(Problem(str(run), None, "has made no step here: it was imported"))
    config, plan = folder.read_config(), record["plan"]
    if not 1 <= step <= config.steps:
        raise ConfigError(Problem("--step", step, f"the run has steps 1 to {config.steps}"))
    if rank is not None and not 0 <= rank < plan["replicas"]:
        rule = f"the run has ranks 0 to {plan['replicas'] - 1} that read data"
        raise ConfigError(Problem("--rank", rank, rule))
    sources = open_sources(config.data)
    _check_same(sources.record(), record["data"], run)
    objective = objective_of(config, sources.train[0].tokenizer)
    phases = read_phases(record["data"], len(sources.train))
    shifted = record["data"].get(SHIFTED, False)
    stream = open_stream(sources, config, objective, phases, shifted)
    readers = [ProvenanceReader(source) for source in sources.train]
    first, count = _samples(folder.metrics, step, plan, gaps_of(read_skipped(folder.skipped)))
    per_replica = count // plan["replicas"]
    ranks = range(plan["replicas"]) if rank is None else [rank]
    for replica in ranks:
        begin = first + replica * per_replica
        for sample, (source, spans) in enumerate(stream.token_spans(begin, per_replica), begin):
            reader = readers[source]
            for start, last in spans:
                documents = [reader(number) for number in reader.between(start, last).tolist()]
                yield SampleTrace(sample, replica, reader.shards.folder, start, last, documents)


def _samples(metrics: Path, step: int, plan: dict[str, Any], gaps: Gaps) -> tuple[int, int]:
    """The first sample of a step and how many it had; a resumed run may have changed its batch."""
    counts = {0: 0}
    for line in read_metrics(metrics):
        read = int(line["tokens"] or 0) // plan["sequence"]
        counts[int(line["step"] or 0)] = gaps.without(read)
    before = max(known for known in counts if known < step)
    after = min((known for known in counts if known >= step), default=None)
    batch = int(plan["batch"])
    if after is not None:
        batch = (counts[after] - counts[before]) // (after - before)
    return gaps.sample(counts[before] + (step - 1 - before) * batch), batch


def _check_same(now: dict[str, Any], then: dict[str, Any], run: Path) -> None:
    changed = [
        Problem(new["folder"], None, f"is no longer the shard set that {run} read")
        for new, old in zip(now["train"], then["train"], strict=True)
        if new["fingerprint"] != old["fingerprint"]
    ]
    if changed:
        raise ConfigError(*changed)
