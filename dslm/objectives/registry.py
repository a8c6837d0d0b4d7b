"""The objectives of pretraining by name; all that can be trained for is in `tasks.registry`."""

from __future__ import annotations

from dslm.config.table import class_of
from dslm.objectives.base import Objective

KINDS = (
    "causal",
    "masked",
    "denoising",
    "autoencoder",
)
"""The modules of the objectives, which are their kinds as well; the first is the default."""

OBJECTIVES: dict[str, type[Objective]] = {kind: class_of(__package__, kind) for kind in KINDS}
