"""Check a run and submit it to SLURM: ``submit --nodes N --ranks M PRESET key=value …``."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from dslm.cluster.slurm import Allocation
from dslm.commands.cli import Parser
from dslm.commands.pretrain_options import without_options
from dslm.commands.run_option import SETTINGS
from dslm.environment import World
from dslm.errors import Problem, Problems, SetupError, UserError
from dslm.train.prepare import prepare

SCRIPT = "launch/pretrain.sbatch"
EXAMPLE = """\
dslm submit --nodes 2 --ranks 8 --gpus 8 gpt2_small \\
      --deepspeed_config ds_configs/zero3_bf16.json data.train=shards/train run=runs/b"""


def main(argv: list[str]) -> None:
    """Check the settings as the job itself will, then submit it and print its number."""
    parser, problems = _parser(), Problems()
    arguments, problems.problems = without_options(argv, parser)
    options = problems.collect(parser.parse_args, arguments)
    if options is None:
        raise UserError(*problems.problems)
    names = ("nodes", "ranks", "gpus", "cpus", "time", "partition", "account", "after", "log")
    asked = Allocation(**{name: getattr(options, name) for name in names})
    problems.problems += asked.problems()
    if not Path(SCRIPT).is_file():
        rule = "is not here"
        problems.problems.append(Problem(SCRIPT, None, rule, "submit from the checkout's folder"))
    if not any(word.startswith("run=") for word in options.words):
        rule = "is missing, and a job that is queued again must find its run"
        problems.problems.append(Problem("run", None, rule, "give run=FOLDER"))
    if asked.after is None and min(asked.nodes, asked.ranks) > 0:  # else the data may come later
        world = World(0, asked.nodes * asked.ranks, 0, asked.ranks, cpu=not asked.gpus)
        settings = options.words, options.config, options.deepspeed_config
        problems.collect(prepare, *settings, world)
    if problems.problems:
        raise UserError(*problems.problems)
    files = {"--deepspeed_config": options.deepspeed_config, "--config": options.config}
    named = [word for name, file in files.items() if file for word in (name, file)]
    command = asked.command(SCRIPT, [*options.words, *named])
    if options.dry_run:
        print(shlex.join(command))
        return
    print(_submit(command))


def _submit(command: list[str]) -> str:
    """Call ``sbatch``; returns the job's number."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        rule = f"cannot be run ({error.strerror})"
        raise SetupError(Problem("sbatch", None, rule, "submit where SLURM is")) from None
    if done.returncode:
        raise SetupError(Problem("sbatch", None, done.stderr.strip()))
    return done.stdout.strip().partition(";")[0]


def _parser() -> Parser:
    purpose = "Check a run and submit it to SLURM; prints the job's number."
    parser = Parser("dslm submit", purpose, EXAMPLE)
    parser.add_argument("words", metavar="PRESET key=value", nargs="*")
    parser.add_argument("--deepspeed_config", metavar="FILE", help="DeepSpeed's JSON (required)")
    parser.add_argument("--config", metavar="FILE", help=SETTINGS)
    parser.add_argument("--nodes", metavar="N", type=int, default=1, help="hosts")
    parser.add_argument("--ranks", metavar="N", type=int, default=1, help="ranks on each host")
    parser.add_argument("--gpus", metavar="N", type=int, default=0, help="GPUs on each host")
    parser.add_argument(
        "--cpus", metavar="N", type=int, help="CPU cores for each rank (default: SLURM's)"
    )
    limit = "as SLURM writes it, such as 2-00:00:00 (default: that of the partition)"
    parser.add_argument("--time", metavar="LIMIT", help=limit)
    parser.add_argument("--partition", metavar="NAME", help="where it waits (default: SLURM's)")
    parser.add_argument("--account", metavar="NAME", help="who pays for it (default: SLURM's)")
    log = "its log; %%j there is the job's number (default: SLURM's)"
    parser.add_argument("--log", metavar="FILE", help=log)
    after = "start once this job has ended well; data may not exist yet (default: at once)"
    parser.add_argument("--after", metavar="JOB", help=after)
    parser.add_argument("--dry-run", action="store_true", help="print the command only")
    return parser
