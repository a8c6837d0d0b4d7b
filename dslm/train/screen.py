"""What a user reads before a run begins: pure functions return lines, which `pretrain` prints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict

from dslm import __version__
from dslm.environment import World, cores
from dslm.parallel.deepspeed_json.optimizer import decouples_decay
from dslm.parallel.memory import Memory, estimate
from dslm.parallel.parameter_bytes import parameter_bytes_line
from dslm.progress import counted, duration, human
from dslm.quantization.config import QuantizationConfig
from dslm.run.best import LOSS
from dslm.run.config import RunConfig
from dslm.run.schedule import warmup_steps
from dslm.train.learned import learned_lines, named_weights
from dslm.train.model_line import model_line
from dslm.train.precision import compile_lines, float8_lines, sums_note
from dslm.train.prepare import Job
from dslm.train.word_vectors.embedding import WordVectors

GIB = 2**30
DAY = 86400.0
"""Seconds beyond which a run on a CPU is most likely a mistake."""


def first_screen(
    job: Job,
    world: World,
    resumed_from: int,
    vectors: WordVectors | None = None,
    seconds: float | None = None,
    kernel: str | None = None,
) -> list[str]:
    """What is going to happen, before anything expensive starts.

    Args:
        job: what to do.
        world: the ranks.
        resumed_from: the step of the checkpoint to resume from; below 1 there is none.
        vectors: the word vectors that the run begins with.
        seconds: that it will take, if known.
        kernel: what computes attention, see `dslm.train.attention_kernel`.
    """
    config = job.config
    lines = [
        ("dslm", f"{__version__} · {config.preset} · {config.run}"),
        ("model", model_line(config.model)),
        ("data", _data(job)),
        *(("rows", row) for row in _rows(job)),
        *([("vectors", _vectors(vectors))] if vectors else []),
        *(("quantize", how) for how in _quantized(config.quantization)),
        *(("float8", which) for which in float8_lines(config, world.cpu)),
        *(("compile", line) for line in compile_lines(config)),
        *([("attends", kernel)] if kernel else []),
        *(("learns", line) for line in _learned(job)),
        ("layout", _layout(job, world)),
        ("batch", _batch(job)),
        ("steps", _steps(job, resumed_from, seconds)),
        ("lr", _rate(job)),
        ("memory", _memory(_estimate(job, world))),
        ("bytes", parameter_bytes_line(job.deepspeed, job.plan)),
        ("saves", _saves(job)),
        ("start", _start(job, resumed_from)),
        *(("note", note) for note in _notes(job)),
        *(("warning", slow) for slow in _slow(world, seconds)),
        *(("note", note) for note in _crowded(world, cores())),
    ]
    return [f"{name:<9}{text}" for name, text in lines]


def _crowded(world: World, cores: int) -> Iterator[str]:
    """Whether ranks of a host share cores."""
    if world.cpu and world.local_size > cores:
        rule = f"{world.local_size} CPU ranks share {counted(cores, 'core')} and slow each other"
        yield f"{rule}: use --num_gpus {cores}, with torchrun --nproc-per-node {cores}"


def scarce(job: Job, world: World, free: float | None) -> list[str]:
    """A line for the first screen where a rank will most likely find no memory.

    Args:
        job: what to do.
        world: the ranks.
        free: bytes that a rank may take, if known.
    """
    memory = _estimate(job, world)
    needed = memory.device + (memory.host + memory.copies if world.cpu else 0.0)
    if free is None or needed <= free:
        return []
    text = (
        f"a rank needs about {needed / GIB:.2f} GiB, but {free / GIB:.2f} GiB are free for it; "
        "dslm check shows what fits"
    )
    return [f"{'warning':<9}{text}"]


def _learned(job: Job) -> Iterator[str]:
    return learned_lines(job.config, named_weights(job.objective, job.sources.train[0]))


def _quantized(config: QuantizationConfig) -> Iterator[str]:
    """What is rounded, and from when on."""
    scheme = config.selected
    if scheme is None:
        return
    shared = f"groups of {scheme.group}" if scheme.group else "a step for each output"
    inputs = f", {scheme.activations}-bit inputs" if scheme.activations else ""
    where = {
        "blocks": "the linear maps of the blocks",
        "linear": "all linear maps",
        "all": "all linear maps and embeddings",
    }[config.layers]
    begin = f", from step {config.start_step + 1:,}" if config.start_step else ""
    yield f"{config.scheme}: {scheme.weights}-bit weights, {shared}{inputs}; {where}{begin}"


def _start(job: Job, resumed_from: int) -> str:
    if resumed_from > 0:
        moments = "" if job.restores_moments(resumed_from) else ", the optimizer's moments anew"
        return f"from step {resumed_from:,}{moments}"
    if job.init_from is None:
        return "from scratch"
    from dslm.train.weight_transfer import compare

    transfer = compare(job.init_from.model, job.config.model, job.config.tuning)
    count = f"{transfer.transferred:,} of {job.config.tuning.total(job.config.model):,}"
    new = transfer.initialized
    parts = f": {count}; newly initialized: {', '.join(new)}" if new else ""
    return f"with the weights of {job.init_from.checkpoint}{parts}"


def _data(job: Job) -> str:
    sources, stream = job.sources.train, job.stream
    names = [str(source.folder) for source in sources]
    if len(sources) > 1:
        shares = zip(names, stream.shares, strict=True)
        names = [f"{name} {100 * share:.1f} %" for name, share in shares]
    epochs = stream.epochs(job.config.steps * job.plan.batch)
    times = ", ".join(dict.fromkeys(f"{epoch:.2f}" for epoch in epochs))
    tokens = f"{human(job.sources.tokens)} tokens, read {times} times (epochs)"
    return f"{', '.join(names)} · {tokens}"


def _rows(job: Job) -> Iterator[str]:
    """What is done to the rows of training, if anything is."""
    data, stream = job.config.data, job.stream
    if data.packing != "none":
        fill = job.sources.tokens / (stream.samples_per_epoch * stream.width)
        yield f"{stream.samples_per_epoch:,} of whole documents, packing {100 * fill:.2f} % full"
    changes = {name: value for name, value in asdict(data.augmentation).items() if value}
    if changes:
        yield f"changed at random: {', '.join(f'{n} {v}' for n, v in changes.items())}"


def _vectors(vectors: WordVectors) -> str:
    matched = vectors.matched
    ids = f"{matched.ids.size:,} of {vectors.vocabulary:,} ids ({100 * vectors.share:.1f} %)"
    repeated = f", {counted(matched.repeated, 'repeated word')}" if matched.repeated else ""
    return f"{vectors.file} · {ids}, {100 * vectors.tokens:.1f} % of tokens{repeated}"


def _layout(job: Job, world: World) -> str:
    plan, kind = job.plan, "CPU" if world.cpu else "GPU"
    ranks = f"{plan.world} {kind} rank{'s' if plan.world > 1 else ''}"
    by = f", started by {world.launcher}" if world.launcher != "python" else ""
    hosts = -(-world.size // world.local_size)
    on = f" on {hosts} hosts" if hosts > 1 else ""
    return f"{ranks}{on}{by} = {plan.in_words} · ZeRO-{plan.zero_stage} · {job.precision}"


def _batch(job: Job) -> str:
    plan = job.plan
    numbers = {
        "replica": plan.replicas,
        "sequence": plan.micro_batch,
        "accumulation step": plan.accumulation,
    }
    factors = " × ".join(counted(number, noun) for noun, number in numbers.items())
    return f"{factors} × {plan.sequence:,} tokens = {plan.tokens_per_step:,} tokens a step"


def _rate(job: Job) -> str:
    optimizer, schedule = job.deepspeed["optimizer"], job.config.schedule
    peak = optimizer.get("params", {}).get("lr", "muon_lr, adam_lr")
    clipping = job.deepspeed.get("gradient_clipping", 1.0)
    warmup = counted(warmup_steps(schedule, job.config.steps), "warm-up step")
    shape = f"{schedule.kind} after {warmup}"
    return f"peak {peak}, {shape} · {optimizer['type']} · gradient clipped at {clipping}"


def _steps(job: Job, made: int, seconds: float | None) -> str:
    """How many, and how long those to be made will take: a guess, until some have been."""
    tokens = human(job.config.steps * job.plan.tokens_per_step)
    rest = f"for the {job.config.steps - made:,} left, " if made > 0 else ""
    time = f" · about {duration(seconds)} {rest}at the speed of this machine" if seconds else ""
    return f"{job.config.steps:,} · {tokens} tokens{time}"


def _slow(world: World, seconds: float | None) -> Iterator[str]:
    if world.cpu and seconds is not None and seconds > DAY:
        yield (
            f"on the CPU this takes about {duration(seconds)}: use GPUs, a smaller model, or fewer "
            "steps"
        )


def _estimate(job: Job, world: World) -> Memory:
    model, forward = job.config.model, job.forward
    return estimate(model, job.plan, job.deepspeed, cpu=world.cpu, forward=forward)


def _memory(memory: Memory) -> str:
    parts = ("weights", "gradients", "optimizer", "activations", "buffers")
    split = ", ".join(f"{part} {getattr(memory, part) / GIB:.2f}" for part in parts)
    host = f" + {memory.host / GIB:.2f} GiB offloaded" if memory.host else ""
    saved = f" + {memory.copies / GIB:.2f} GiB of main memory for checkpoints"
    return f"about {memory.device / GIB:.2f} GiB a rank{host}{saved} ({split})"


def _saves(job: Job) -> str:
    config = job.config
    chosen = f"the newest {config.keep}"
    if config.keep_every is not None:
        chosen += f", every multiple of {config.keep_every:,}"
    if _keeps_best(job):
        by = "" if config.best_by in (None, LOSS) else f" by {config.best_by}"
        chosen += f" and the best{by}"
    size = f"{human(job.checkpoint_bytes)}B each, {chosen} kept"
    interval = min(config.checkpoint_interval, config.steps)
    return f"every {'step' if interval == 1 else f'{interval:,} steps'}, {size}"


def _keeps_best(job: Job) -> bool:
    return job.config.keep_best and job.config.data.validation is not None


def _notes(job: Job) -> Iterator[str]:
    validation = job.sources.validation
    if validation and validation.fingerprint in {one.fingerprint for one in job.sources.train}:
        yield f"{validation.folder} is trained on too: its loss says nothing of unseen text"
    used = job.sources.train[0].vocabulary + job.objective.extra_ids
    if job.config.model.size > used:
        yield (
            f"the vocabulary has {job.config.model.size - used:,} ids that are never used; "
            f"model.vocabulary={used} saves their weights"
        )
    if job.config.tuning.freezes_anything and job.init_from is None:
        yield "what is frozen has learned nothing: init_from=RUN begins with the weights of a run"
    if _keeps_best(job) and (both := _unmeasured(job.config)):
        yield both
    if decouples_decay(job.deepspeed) and job.deepspeed["optimizer"]["params"].get("weight_decay"):
        yield (
            'DeepSpeed\'s "Adam" with weight_decay computes AdamW; "type": "AdamW" says so, '
            '"adam_w_mode": false computes Adam'
        )
    yield from sums_note(job.deepspeed, job.plan.accumulation)
    if job.ops:
        yield f"DeepSpeed compiles {', '.join(job.ops)} first: a few minutes, once on each machine"


def _unmeasured(config: RunConfig) -> str:
    """What to say where not every checkpoint is written at a step at which the loss is measured."""
    saved, measured = config.checkpoint_interval, config.evaluation_interval
    both = math.lcm(saved, measured)
    if both == saved or saved >= config.steps:
        return ""
    which = f"those of every {both:,} steps and" if both < config.steps else "that of"
    return (
        f"the best checkpoint is chosen from {which} the last step, as the loss is measured at no "
        f"other that is saved; evaluation_interval={math.gcd(saved, measured)} measures all"
    )
