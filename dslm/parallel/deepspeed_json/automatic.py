"""``"auto"``: values that transformers and accelerate fill in from their own settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dslm.errors import Problem
from dslm.parallel.deepspeed_json.draft import Draft

BY_HAND = {
    "train_batch_size": "per_device_train_batch_size × gradient_accumulation_steps × GPUs",
    "train_micro_batch_size_per_gpu": "per_device_train_batch_size",
    "gradient_accumulation_steps": "gradient_accumulation_steps",
    "optimizer.params.lr": "learning_rate",
}
"""Values that only a person knows, and the TrainingArguments that hold them."""
DEFAULTS: dict[str, tuple[Any, str]] = {
    "optimizer.params.betas": ([0.9, 0.999], "adam_beta1, adam_beta2"),
    "optimizer.params.eps": (1e-8, "adam_epsilon"),
    "optimizer.params.weight_decay": (0.0, "weight_decay"),
    "gradient_clipping": (1.0, "max_grad_norm"),
}
"""Values that have a default there, which is another one in DeepSpeed or torch."""
SWITCHES = {"fp16.enabled": "fp16", "bf16.enabled": "bf16"}
"""Values that have none, and the word for the precision that turns each of them on."""


def with_defaults(config: Mapping[str, Any], *, precise: bool) -> dict[str, Any]:
    """A file with each ``"auto"`` that stands for one value in transformers as in DeepSpeed.

    Args:
        config: as it was read; what only a person knows stays ``"auto"``.
        precise: whether the settings name a precision, which then turns the `SWITCHES`.
    """
    draft = Draft(config)
    micro, rounds, batch = BATCHES
    for path, (default, _) in DEFAULTS.items():
        if draft.of(path) == "auto":
            draft.put(path, default, "")
    for path in SWITCHES:
        if precise and draft.of(path) == "auto":
            draft.remove(path, "")
    if draft.of(rounds) == "auto":
        draft.remove(rounds, "")
    if draft.of(batch) == "auto" and isinstance(draft.of(micro), int):
        draft.remove(batch, "")
    return draft.config


def fill_in(draft: Draft) -> None:
    """Replace every ``"auto"``: by TrainingArguments' default, by DeepSpeed's, or by hand."""
    automatic = [path for path in draft.paths() if draft.of(path) == "auto"]
    given = [key for key in BATCHES if draft.has(key) and draft.of(key) != "auto"]
    wanted = [key for key in BATCHES if key in automatic][: 2 - len(given)]
    for path in automatic:
        if path in BATCHES and path not in wanted:
            draft.remove(path, "follows from the other two and the number of ranks")
        elif path in BY_HAND:
            value = draft.remove(path, "only transformers fills it in")
            rule = "was filled in by transformers or accelerate"
            fix = f"give {path}=…: the value of TrainingArguments' {BY_HAND[path]}"
            draft.missing.append(Problem(path, value, rule, fix))
        elif path in DEFAULTS:
            default, argument = DEFAULTS[path]
            draft.put(path, default, f"the default of TrainingArguments.{argument}; if yours is "
                      "another, write it")  # fmt: skip
        elif kind := SWITCHES.get(path):
            draft.remove(kind, f"TrainingArguments.{kind} is off by default; if yours is on, "
                         f"give {kind}.enabled=true")  # fmt: skip
        elif draft.has(path) and not path.startswith("scheduler."):  # that goes as a whole
            draft.remove(path, "DeepSpeed has a default")


BATCHES = (
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "train_batch_size",
)
"""The batch sizes, any two of which are enough; those asked for first come first."""
