"""A folder as `peft` loads it onto the exported base: the adapters of a run that has them.

FOLDER/
    adapter_model.safetensors   A and B of each map by its name
    adapter_config.json         which maps these are, rank and alpha

Where one matrix of ours is several of theirs (queries, keys and values), each gets the whole of A
and its own rows of B.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from dslm.errors import CheckpointError, UserError
from dslm.files.published import published
from dslm.files.whole import write_json
from dslm.hub.foresight import check_adapters, check_unoccupied
from dslm.hub.model_folder import write_tensors
from dslm.hub.names import weights
from dslm.hub.registry import family_of_model
from dslm.inference.selection import Selected, select
from dslm.inference.trained import stored_weights
from dslm.model.config import ModelConfig
from dslm.model.low_rank import ADAPTER

PREFIX = "base_model.model."
"""What `peft` puts before the names of the model that it wraps."""


@dataclass(frozen=True)
class Adapters:
    """What was written."""

    run: Path
    step: int
    maps: int
    """Of the base model, which are changed."""
    load: str
    """What to type to load it."""


def export_adapters(run: Path, folder: Path, step: int | None = None) -> Adapters:
    """Write the adapters of a run as `peft` loads them.

    Args:
        run: the folder of the run.
        folder: the folder to make.
        step: which checkpoint; the newest unless given.

    Raises:
        UserError: no such run, one without adapters or of a model that no family has, or the folder
            is there already.
    """
    if there := check_unoccupied(folder, "FOLDER"):
        raise CheckpointError(*there)
    chosen = select(run, step)
    if problems := check_adapters(chosen):
        raise UserError(*problems)
    tensors, turned = _tensors(chosen)
    names = [name.removeprefix(PREFIX).rpartition(".lora_")[0] for name in tensors]
    lora = chosen.config.lora
    settings = {
        "peft_type": "LORA",
        "task_type": _task_type(chosen.config.model),
        "base_model_name_or_path": None,
        "r": lora.rank,
        "lora_alpha": lora.scale * lora.rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": turned,
        "target_modules": sorted({*names}),
        "inference_mode": True,
    }
    with published(folder) as target:
        write_tensors(target / "adapter_model.safetensors", tensors)
        write_json(target / "adapter_config.json", settings)
    load = f"peft.PeftModel.from_pretrained(base, {str(folder)!r})"
    return Adapters(run, chosen.step, len({*names}), load)


def _task_type(model: ModelConfig) -> str | None:
    """Which of its classes `peft` wraps a model in; of none that it knows the plain one."""
    if model.encoder_layers:
        return "SEQ_2_SEQ_LM"
    return "CAUSAL_LM" if model.attention == "causal" else None


def _tensors(chosen: Selected) -> tuple[dict[str, Tensor], bool]:
    """A and B by the names that `peft` gives them, and whether the maps are stored turned."""
    model, ours = chosen.config.model, stored_weights(chosen)
    family: Any = family_of_model(model)
    made, turned = dict[str, Tensor](), False
    for weight in weights(family, family.fitting(model)):
        layer = f"{weight.ours.removesuffix('.weight')}{ADAPTER}"
        if f"{layer}b" not in ours or not weight.ours.endswith(".weight"):
            continue
        turned |= weight.turned
        for name, rows in weight.parts(ours[f"{layer}b"]):
            stem = f"{PREFIX}{name.removesuffix('.weight')}"
            made[f"{stem}.lora_A.weight"] = ours[f"{layer}a"].clone()
            made[f"{stem}.lora_B.weight"] = rows.contiguous()
    return made, turned
