"""The settings that dslm executes; those of DeepSpeed are in its own JSON and nowhere here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.model.config import ModelConfig
from dslm.model.float8 import Float8Config
from dslm.model.lora import LoraConfig
from dslm.model.tuning import Tuning
from dslm.quantization.config import QuantizationConfig
from dslm.run.bad_steps import BadStepsConfig
from dslm.run.schedule import ScheduleConfig
from dslm.sampling.augment import AugmentationConfig
from dslm.tasks.registry import ObjectiveConfig

Natural = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Precision = Literal["fp32", "bf16", "bf16_autocast", "fp16", "fp8"]


RENAMED = {
    "start": "init_from",
    "model.code_length": "model.bottleneck_length",
    "model.code_width": "model.bottleneck_width",
}
"""Keys of settings and run folders that had another name in an earlier version."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class DataConfig:
    """What is read."""

    train: str | list[str] | dict[str, Positive]
    """Folder of a shard set; or several, ["shards/a", "shards/b"], each row of which is read once
    an epoch; or several with their weights, {"shards/a": 0.7, "shards/b": 0.3}."""
    temperature: Positive | None = None
    """Weights for several sets without any: tokens ** (1 / temperature), so that a higher one
    favours small sets; null = each row once an epoch."""
    packing: Literal["none", "best_fit"] = "none"
    """What a row of training holds. none: a window that begins and ends anywhere. best_fit: whole
    documents, cut only when longer than a row; what stays empty is padding."""
    document_borders: bool = False
    """Whether the documents in a row are kept apart: no token sees another document, and positions
    begin anew with each."""
    augmentation: AugmentationConfig = Field(default_factory=AugmentationConfig)
    length_groups: bool = True
    """Whether examples of a task that are about equally long come together, 32 at a time, so that
    little of a batch is padding; not of sets with weights, nor where an epoch has less than 1,024
    examples, whose batches would be the same in each."""
    validation: str | None = None
    """Folder of the shard set on which the loss is measured during training; null = none."""
    validation_windows: Count | None = None
    """How many windows or examples of it at most, from its beginning; null = 1,000 windows, or all
    examples of a task."""
    verify: bool = True
    """Whether the checksums of all shards are compared before training (1 GB a second)."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class RunConfig:
    """A training run."""

    preset: str
    """The preset it started from."""
    model: ModelConfig
    data: DataConfig
    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    precision: Precision | None = None
    """In what is computed: fp32; bf16 or fp16 (float32 masters; bf16 with float32 sums, fp16 with a
    dynamic loss scale); bf16_autocast (float32 weights); fp8 (bf16, wide linear maps in 8 bits).
    DeepSpeed's JSON is filled in, and may not say something else; null = what it says."""
    float8: Float8Config = Field(default_factory=Float8Config)
    quantization: QuantizationConfig = Field(default_factory=QuantizationConfig)
    bad_steps: BadStepsConfig = Field(default_factory=BadStepsConfig)
    steps: Count
    """Optimizer steps of the whole run."""
    run: str
    """Folder of the run; run again with the same one, it resumes."""
    init_from: str | None = None
    """Folder of a run, trained or imported, with whose newest weights this one begins, as far as
    the layers are the same from the first on, and whose shape and objective it has unless others
    are given; null = weights drawn by `seed`."""
    word_vectors: str | None = None
    """File of word vectors (text of word2vec, fastText or GloVe, plain or packed), as wide as the
    model, with which the token embedding begins, scaled to its deviation; null = drawn."""
    layer_rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The learning rate of each block is that of the block above it times this, and that of the
    embeddings that of the lowest block times this (Howard & Ruder 2018; Clark et al. 2020)."""
    frozen: str | None = None
    """Layers whose weights stay as they are, such as embeddings,blocks.0-3: embeddings (of tokens,
    positions and segments), blocks, one of these or a range of them, counted from 0."""
    lora: LoraConfig = Field(default_factory=LoraConfig)
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each label that is spread evenly over all classes or ids while the model learns
    (Szegedy et al. 2016); the validation loss is that of plain labels."""
    seed: Natural = 0
    """Decides weights, sample order and dropout."""
    fresh: bool = False
    """Refuse to start unless the run folder is empty or missing."""
    resume_optimizer: Literal["stored", "fresh"] = "stored"
    """fresh = where the checkpoint to resume from was made by another optimizer, the weights go on
    and the moments begin anew; stored = this is a mistake."""
    pipeline_stages: Count = 1
    """Ranks that share one copy of the model, each holding some of its layers."""
    tensor_parallel: Count = 1
    """Ranks that share each layer, best of one host: each holds and computes some of the heads and
    of the inner units (Shoeybi et al. 2019); it divides model.heads and model.feed_forward."""
    sequence_parallel: Count = 1
    """Ranks that share each row, for long ones: each computes some of its tokens, and in attention
    some of the heads (DeepSpeed-Ulysses, Jacobs et al. 2023); it divides sequence and heads."""
    expert_parallel: Count = 1
    """Replicas that share the experts of every block, each holding some of them (only with
    `model.experts`, which it divides; under ZeRO-1 or 2)."""
    compile: bool = False
    """Whether blocks are compiled by torch, each by itself: the first step takes some minutes the
    first time, later ones less; the losses are the same up to rounding."""
    log_interval: Count = 10
    """Steps between two lines of metrics."""
    layer_norms_interval: Count | None = None
    """Steps between two measurements of the norms of each layer's gradient and weights, a multiple
    of log_interval; null = never."""
    evaluation_interval: Count = 500
    """Steps between two measurements of the validation loss (also measured at the end)."""
    checkpoint_interval: Count = 500
    """Steps between two checkpoints (one is also written at the end)."""
    keep: Count = 3
    """How many of the newest checkpoints are kept."""
    keep_every: Count | None = None
    """Keep those of every multiple of this step too."""
    keep_best: bool = True
    """Keep the best one too, of those at whose step was measured."""
    best_by: str | None = None
    """By what the best one is chosen, and `patience` counts: loss, or a metric of the task, such as
    accuracy or f1; null = the first metric of a task, else the loss."""
    save_failures: Count = 3
    """End the run when that many checkpoints in a row could not be written."""
    target_loss: Positive | None = None
    """Stop when the validation loss is at most this."""
    patience: Count | None = None
    """Stop when that many measurements in a row have not improved the validation loss, or what else
    `best_by` says."""
    stall_minutes: Positive | None = None
    """Minutes without a micro-batch or a written file after which a run has stalled: the late rank
    is named, and all end; null = 10 times the slowest so far, 1 minute (10 of saving) at least."""
    tensorboard: bool = False
    """Also write TensorBoard event files into the run folder."""
    wandb: bool = False
    """Also write W&B's files into the run folder, offline unless WANDB_MODE says otherwise."""

    @property
    def tuning(self) -> Tuning:
        """Which weights learn, and how fast."""
        return Tuning(self.frozen, self.layer_rate_decay, self.lora)
