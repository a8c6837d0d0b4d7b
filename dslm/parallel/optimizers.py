"""The groups in which an optimizer gets the weights of a model that learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dslm.errors import Problem
from dslm.model.tuning import Tuning
from dslm.parallel.deepspeed_json.optimizer import named

if TYPE_CHECKING:
    from torch import nn

    from dslm.model.stages import Stage

Group = dict[str, Any]
"""Weights, and the parameters of the optimizer that are their own."""


def parameter_groups(
    weights: Mapping[str, nn.Parameter], stages: Sequence[Stage], config: Mapping[str, Any]
) -> list[Group]:
    """The weights that learn, by the rate of their layer; matrices decay, and vectors do not.

    Args:
        weights: those of this rank, by their layout-free names ``INDEX.…``.
        stages: all layers of the model.
        config: DeepSpeed's JSON.
    """
    decay = config["optimizer"].get("params", {}).get("weight_decay", 0.0)

    def of(item: tuple[str, nn.Parameter]) -> tuple[float, bool, str]:
        """What decides on the group of a weight."""
        rate = stages[int(item[0].partition(".")[0])].rate
        experts = getattr(item[1], "group_name", "")  # see `dslm.parallel.expert_groups`
        return -rate, bool(decay) and _dimensions(item[1]) < 2, experts

    learn = [item for item in weights.items() if item[1].requires_grad]
    groups = []
    for (rate, is_vector, experts), items in groupby(sorted(learn, key=of), key=of):
        group: Group = {"params": [weight for _, weight in items]}
        if decay:
            group["weight_decay"] = 0.0 if is_vector else decay
        if rate != -1:
            group["lr"] = -rate * peak_rate(config)
        if experts:
            group |= {"moe": True, "name": experts}
        groups.append(group)
    return groups


def as_many(groups: Sequence[Group], wanted: int) -> list[Group]:
    """The same weights in a given number of groups, of which there are no more now.

    DeepSpeed adds up the norm of a gradient over all stages of a pipeline group by group, so all
    must have as many.
    """
    made = [dict(group) for group in groups]
    while len(made) < wanted:
        largest = max(made, key=lambda group: len(group["params"]))
        first, *rest = largest["params"]
        assert rest, "too few weights, which `partition.check_learning` refuses"
        largest["params"] = rest
        made.append({**largest, "params": [first]})
    return made


def peak_rate(config: Mapping[str, Any]) -> float:
    """The peak learning rate of DeepSpeed's JSON; of Muon that of the matrices."""
    params = config["optimizer"]["params"]
    return float(params.get("muon_lr", params.get("lr")))


def check_rates(config: Mapping[str, Any], tuning: Tuning) -> list[Problem]:
    """Whether an optimizer can have a rate for each layer, and train adapters."""
    if named(config["optimizer"]["type"]) != "Muon":
        return []
    if tuning.lora.rank:
        rule, fix = "needs another optimizer than Muon, which makes steps of full rank", "use AdamW"
        return [Problem("lora.rank", tuning.lora.rank, rule, fix)]
    if tuning.layer_rate_decay == 1:
        return []
    rule = "is not possible with Muon, which has rates of its own for matrices"
    fix = "leave it out, or use AdamW"
    return [Problem("layer_rate_decay", tuning.layer_rate_decay, rule, fix)]


def _dimensions(parameter: nn.Parameter) -> int:
    """The number of axes; under ZeRO-3 the weight itself is empty between its uses."""
    shape: Sequence[int] = getattr(parameter, "ds_shape", parameter.shape)
    return len(shape)
