"""What exported folders give, with `transformers` and with us."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from dslm.hub.compressed import KEY, floats
from dslm.hub.stored import stored
from dslm.inference.trained import load
from dslm.quantization.config import QuantizationConfig
from dslm.quantization.rounding import rounded

TOKENS = torch.randint(400, (3, 32), generator=torch.Generator().manual_seed(2))
"""For models of 400 ids or more and a window of 32 or more."""


@torch.no_grad()
def ours(run: Path, how: QuantizationConfig | None = None) -> Tensor:
    """What a run's model says of `TOKENS`, computed as in training."""
    scores: Tensor = load(run, None, how, to_use=False).model(TOKENS)
    return scores


def loaded(folder: Path, kind: Any = AutoModelForCausalLM) -> Any:
    """The model in a folder, as `transformers` loads it."""
    return kind.from_pretrained(folder).eval()


@torch.no_grad()
def theirs(folder: Path) -> Tensor:
    """What `transformers` makes of `TOKENS`."""
    scores: Tensor = loaded(folder)(TOKENS).logits
    return scores


def unpacked_model(folder: Path, model: Any) -> Any:
    """A packed model in floats: the same class, our reading of its weights, inputs rounded."""
    settings = json.loads((folder / "config.json").read_text())
    tensors = stored(folder)
    maps = [name.removesuffix(".weight_scale") for name in tensors if name.endswith("_scale")]
    read = floats(settings, tensors, "")
    config = type(model.config)(**{k: v for k, v in settings.items() if k != KEY})
    made = type(model)(config).eval()
    absent, unknown = made.load_state_dict({n: t.read() for n, t in read.items()}, strict=False)
    assert not unknown
    made.tie_weights()
    assert set(absent) <= set(made._tied_weights_keys or ())
    inputs = settings[KEY]["config_groups"]["group_0"]["input_activations"]
    for name in maps if inputs else ():
        made.get_submodule(name).register_forward_pre_hook(
            lambda _, args: (rounded(args[0], inputs["num_bits"], None, storable=False),)
        )
    return made
