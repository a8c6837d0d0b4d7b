"""Whether all that adapters leave as it is has been learned before."""

from __future__ import annotations

from dslm.errors import Problem
from dslm.run.config import RunConfig
from dslm.run.init_from import SourceRun


def check_adapted(config: RunConfig, source: SourceRun | None, *, compares: bool) -> list[Problem]:
    """What a run with adapters would draw and never learn; nothing of a run without any.

    Args:
        config: the settings of a run that begins, those of the data filled in.
        source: the run whose weights it begins with.
        compares: whether the shapes of both are right, so that their weights can be compared, for
            which torch is imported.
    """
    rank = config.lora.rank
    if rank and config.init_from is None:
        rule = "changes weights that have learned something, and without init_from all are drawn"
        return [Problem("lora.rank", rank, rule, "add init_from=RUN, an imported or earlier run")]
    if not rank or source is None or not compares:
        return []
    from dslm.train.weight_transfer import compare

    new = compare(source.model, config.model, config.tuning).drawn_beside_adapters
    rule = f"would leave as they are drawn: {', '.join(new)}, which {source.run} lacks"
    fix = f"keep the objective and the shape of {source.run}, or leave out lora.rank"
    return [Problem("lora.rank", rank, rule, fix)] if new else []
