"""What ``check`` prints: lines for people, or a record for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from dslm.model.counts import active_count, flops_per_token, parameter_count
from dslm.parallel.cost import Sent, pipeline, sent
from dslm.parallel.deepspeed_json.precision import halves
from dslm.parallel.devices import Cluster
from dslm.parallel.layouts import CONTEXT, Layout
from dslm.parallel.parameter_bytes import parameter_bytes, parameter_bytes_line
from dslm.progress import counted, human
from dslm.train.combination import Combination
from dslm.train.learned import learned_lines
from dslm.train.model_line import parameters, width
from dslm.train.precision import compile_lines, float8_lines, precision_of

GIB = 2**30
SHOWN = 12
"""Layouts in the table."""
PARTS = ("weights", "gradients", "optimizer", "activations", "buffers")
"""The categories of a rank's memory."""


def screen(
    asked: Layout, others: Sequence[Layout], cluster: Cluster, found: Combination, *, fits: bool
) -> list[str]:
    """The lines.

    Args:
        asked: the layout that was asked about.
        others: those that fit, the best first.
        cluster: the ranks.
        found: the settings.
        fits: whether the one asked about does.
    """
    precision = precision_of(found.config, asked.config)
    lines = [
        ("model", _model(asked, found.assumed)),
        *(("float8", which) for which in float8_lines(found.config, cluster.cpu)),
        *(("compile", line) for line in compile_lines(found.config)),
        *(("learns", line) for line in learned_lines(found.config)),
        ("layout", f"{_layout(asked, cluster)} · {precision}"),
        ("batch", _batch(asked)),
        ("memory", _memory(asked, cluster)),
        ("bytes", parameter_bytes_line(asked.config, asked.plan)),
        *(("pipeline", line) for line in _pipeline(asked)),
        *(("sends", _sent(one)) for one in sent(asked.model, asked.plan, asked.config, cluster)),
        *(("step", line) for line in _time(asked, cluster)),
        ("fits", "yes" if fits else "no"),
    ]
    return [
        *(f"{name:<9}{text}" for name, text in lines),
        "",
        *_table(asked, others),
        *_best(asked, others),
    ]


def _model(asked: Layout, assumed: bool) -> str:
    model = asked.model
    vocabulary = f"vocabulary {model.size:,}" + (" (assumed)" if assumed else "")
    shape = f"{model.layers} layers × {width(model)}"
    return f"{parameters(model)} · {shape} · {model.sequence:,} tokens, {vocabulary}"


def _layout(asked: Layout, cluster: Cluster) -> str:
    plan = asked.plan
    kind = cluster.device.name if cluster.device else "CPU"
    where = f"{counted(plan.world, f'{kind} rank')} on {counted(cluster.hosts, 'host')}"
    return f"{where} = {plan.in_words} · ZeRO-{plan.zero_stage}"


def _batch(asked: Layout) -> str:
    plan = asked.plan
    numbers = {"replica": plan.replicas, "window": plan.micro_batch, "round": plan.accumulation}
    factors = " × ".join(counted(number, noun) for noun, number in numbers.items())
    return f"{factors} × {plan.sequence:,} tokens = {plan.tokens_per_step:,} tokens a step"


def _memory(asked: Layout, cluster: Cluster) -> str:
    memory = asked.memory
    split = ", ".join(f"{part} {getattr(memory, part) / GIB:.2f}" for part in PARTS)
    host = f" + {memory.host / GIB:.2f} GiB offloaded" if memory.host else ""
    host += f" + {memory.copies / GIB:.2f} GiB of main memory for checkpoints"
    has = ""
    if cluster.device is not None:
        has = f" of {cluster.device.memory / GIB:.0f}, {CONTEXT / GIB:.1f} of which CUDA takes"
    return f"about {memory.device / GIB:.2f} GiB a rank{has}{host} ({split})"


def _pipeline(asked: Layout) -> Iterator[str]:
    if asked.plan.pipeline_stages > 1:
        used = pipeline(asked.model, asked.plan)
        blocks = " + ".join(map(str, used.blocks))
        waits = f"{100 * used.bubble:.0f} % of a step is bubble"
        yield f"blocks {blocks} · {waits} · stages {100 * used.balance:.0f} % balanced"


def _sent(one: Sent) -> str:
    where = "between hosts" if one.between_hosts else "within a host"
    rate = f", {human(one.rate)}B/s: {one.seconds:.3f} s" if one.rate else ""
    return f"{human(one.bytes)}B a step and rank · {one.kind} of {one.what} {where}{rate}"


def _time(asked: Layout, cluster: Cluster) -> Iterator[str]:
    time, speed, device = asked.time, asked.tokens_per_second, cluster.device
    if time is None or speed is None or device is None:
        return
    peak = device.half if halves(asked.config) else device.single
    share = speed * flops_per_token(asked.model) / (peak * cluster.ranks)
    split = {
        "computing": time.compute,
        "sending": time.exposed,
        "updating": time.update,
        "waiting": time.waiting,
    }
    spent = ", ".join(f"{name} {seconds:.3f}" for name, seconds in split.items())
    yield f"about {time.step:.3f} s · {human(speed)} tokens/s · MFU {100 * share:.0f} % ({spent})"


def _table(asked: Layout, others: Sequence[Layout]) -> Iterator[str]:
    """The layouts that fit, the best first; `*` is the one asked about."""
    if not others:
        yield "no layout fits"
        return
    yield f"{len(others)} layouts with this batch fit, the best first (* as given):"
    yield "  ZeRO  stages  sequence  tensor  micro   accum  recompute  offload     GiB  tokens/s"
    for other in others[:SHOWN]:
        plan, speed = other.plan, other.tokens_per_second
        mark = "*" if _same(asked, other) else " "
        again = _yes(bool(other.model.recompute))
        yield (
            f"{mark} {plan.zero_stage:>4}  {plan.pipeline_stages:>6}  "
            f"{plan.sequence_parallel:>8}  {plan.tensor_parallel:>6}  "
            f"{plan.micro_batch:>5}  {plan.accumulation:>6}  "
            f"{again:>9}  {_yes(other.offloads):>7}  "
            f"{other.memory.device / GIB:>6.2f}  {human(speed) if speed else '—':>8}"
        )


def _best(asked: Layout, others: Sequence[Layout]) -> Iterator[str]:
    if others and not _same(asked, others[0]):
        yield ""
        yield f"best     {' '.join(others[0].words)} and in DeepSpeed's JSON:"
        yield json.dumps(others[0].fragment)


def _same(one: Layout, other: Layout) -> bool:
    return (one.plan, one.model, one.offloads) == (other.plan, other.model, other.offloads)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def as_record(
    asked: Layout, others: Sequence[Layout], cluster: Cluster, found: Combination, *, fits: bool
) -> dict[str, Any]:
    """The same as JSON; bytes and seconds. The arguments are those of `screen`."""
    messages = sent(asked.model, asked.plan, asked.config, cluster)
    return {
        "fits": fits,
        "device": cluster.device and asdict(cluster.device),
        "parameters": parameter_count(asked.model),
        "active_parameters": active_count(asked.model),
        "learned_parameters": found.config.tuning.learned(asked.model),
        "vocabulary": asked.model.size,
        "vocabulary_assumed": found.assumed,
        "precision": precision_of(found.config, asked.config),
        **_record(asked),
        "sent": [{**asdict(one), "seconds": one.seconds} for one in messages],
        "pipeline": asdict(pipeline(asked.model, asked.plan)),
        "layouts": [
            {**_record(other), "settings": other.words, "deepspeed": other.fragment}
            for other in others
        ],
    }


def _record(layout: Layout) -> dict[str, Any]:
    plan, memory = layout.plan, layout.memory
    return {
        "plan": {**asdict(plan), "replicas": plan.replicas, "batch": plan.batch},
        "recompute": layout.model.recompute,
        "offload_optimizer": layout.offloads,
        "memory": {**asdict(memory), "device": memory.device},
        "parameter_bytes": asdict(parameter_bytes(layout.config, plan.zero_stage)),
        "time": layout.time and {**asdict(layout.time), "step": layout.time.step},
        "tokens_per_second": layout.tokens_per_second,
    }
