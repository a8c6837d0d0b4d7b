"""DeepSpeed's JSON: read, changed by the command line and the precision, checked, planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dslm.environment import World
from dslm.errors import ConfigError, Problem, Problems, nearest
from dslm.files.whole import read_json
from dslm.parallel.deepspeed_json import check as ds_check
from dslm.parallel.deepspeed_json.automatic import with_defaults
from dslm.parallel.deepspeed_json.check import is_older
from dslm.parallel.deepspeed_json.homes import with_homes
from dslm.parallel.deepspeed_json.overrides import Overrides
from dslm.parallel.deepspeed_json.precision import in_own_words, with_precision
from dslm.parallel.plan import Plan, make_plan
from dslm.run.config import RunConfig
from dslm.run.folder import RunFolder
from dslm.train.elastic import kept_batch
from dslm.train.file_kinds import START, check_file, check_kind

OPTION = "--deepspeed_config"
SHIPPED = Path(START).parent
"""Where the checkout keeps files of DeepSpeed's JSON."""


def load_deepspeed(path: str | None) -> dict[str, Any]:
    """Read DeepSpeed's JSON, or the one that a ``run.json`` records.

    Raises:
        UserError: there is none, it cannot be read, or is something else.
    """
    if path is None:
        rule = "is required: DeepSpeed's JSON holds optimizer, batch and ZeRO stage"
        fix = f"for a start use {START}"
        raise ConfigError(Problem(OPTION, None, rule, fix))
    file = Path(path).expanduser()
    if not file.exists() and (near := _near(file)):
        raise ConfigError(Problem(OPTION, path, "no such file", f"did you mean '{near}'?"))
    check_file(OPTION, path)
    values = read_json(file)
    if isinstance(values.get("deepspeed"), dict) and "config" in values:
        return dict(values["deepspeed"])
    check_kind(values, OPTION, path)
    return values


def _near(file: Path) -> Path | None:
    """The file that was most likely meant: in its folder or among those of the checkout."""
    folders = dict.fromkeys((file.parent, SHIPPED))
    files = [path for folder in folders for path in sorted(folder.glob("*.json"))]
    begin = [path for path in files if path.stem.startswith(f"{file.stem}_")]
    plain = [path for path in begin if "fp32" in path.stem]  # runs everywhere
    near = nearest(file.stem, [path.stem for path in files])
    alike = [path for path in files if path.stem == near]
    return next(iter((*plain, *begin, *alike)), None)


def plan_of(
    file: dict[str, Any],
    overrides: Overrides,
    config: RunConfig | None,
    world: World,
    found: Problems,
    path: str | None,
) -> tuple[dict[str, Any], Plan | None]:
    """Change, fill in and check DeepSpeed's JSON, and derive the plan if it is right.

    Args:
        file: the JSON as read.
        overrides: what the command line changes in it.
        config: the settings, if they are right.
        world: the ranks.
        found: collects what is wrong.
        path: the file's.

    Returns:
        The JSON with these changes and the precision of the settings, and the plan.
    """
    stages, word = (config.pipeline_stages, config.precision) if config else (1, None)
    tensor = config.tensor_parallel if config else 1
    precise = config is None or word is not None  # else it may be named where the mistake is
    file = with_defaults(file, precise=precise)
    deepspeed = with_homes(overrides.applied(file))
    filled, contradicting = with_precision(deepspeed, word)
    wrong = [
        in_own_words(problem, deepspeed, word)
        for problem in ds_check.check(
            filled, pipeline_stages=stages, tensor_parallel=tensor, cpu=world.cpu
        )
    ]
    wrong += overrides.problems(file, filled)
    if path and is_older(file) and is_older(deepspeed):  # else what is typed mends or spoils it
        fix = f"dslm migrate {path} --output new.json rewrites it"
        rule = "is for another trainer or an older DeepSpeed"
        contradicting.append(Problem(OPTION, path, rule, fix))
    plan = None
    if config and not wrong:
        kept = kept_batch(RunFolder(Path(config.run)), filled)
        plan, wrong = make_plan(
            filled,
            world.size,
            stages,
            config.model.sequence,
            kept,
            tensor_parallel=tensor,
            sequence_parallel=config.sequence_parallel,
            expert_parallel=config.expert_parallel,
        )
    found.problems += map(overrides.named, contradicting + wrong)
    return filled, plan
