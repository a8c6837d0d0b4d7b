"""What a run keeps when it goes on with other ranks than it had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dslm.errors import UserError
from dslm.parallel.plan import ACCUMULATION, BATCH, MICRO
from dslm.run.folder import RunFolder


def kept_batch(folder: RunFolder, deepspeed: Mapping[str, Any]) -> int | None:
    """The batch of a run that goes on, where DeepSpeed's JSON is as it was and names none.

    A JSON with another micro-batch or accumulation than before asks for another batch.

    Args:
        folder: of the run; every rank may call this.
        deepspeed: DeepSpeed's JSON, checked.
    """
    if BATCH in deepspeed or not folder.newest_step():
        return None
    try:
        record = folder.read()
        before, plan = record["deepspeed"], record["plan"]
        same = all(
            before.get(key) == deepspeed[key]
            for key in (BATCH, MICRO, ACCUMULATION)
            if key in deepspeed
        )
        return int(plan["batch"]) if same and BATCH not in before else None
    except (UserError, KeyError, TypeError):  # other checks say what is wrong with it
        return None


def split(plan: Mapping[str, Any]) -> str:
    """How ranks share a batch, in words."""
    parts = f"{plan['micro_batch']} × {plan['accumulation']} × {plan['replicas']} replicas"
    return f"{plan['batch']} = {parts}"
