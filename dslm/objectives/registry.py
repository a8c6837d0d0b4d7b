"""The objectives by name; a new one is a file and a line here."""

from __future__ import annotations

from dslm.objectives.causal import Causal
from dslm.objectives.protocol import Objective

OBJECTIVES: dict[str, Objective] = {"causal": Causal()}
