"""Check a plan before it is run: ``check PRESET key=value … --deepspeed_config FILE --gpus …``.

Exit code 2 where settings, JSON and layout contradict each other, 1 where they are right and do not
fit the machines, else 0.
"""

from __future__ import annotations

import argparse
import json

from dslm.commands.check_screens import as_record, screen
from dslm.commands.cli import Parser
from dslm.commands.pretrain_options import without_options
from dslm.commands.run_option import SETTINGS
from dslm.environment import World, available_memory
from dslm.errors import CapacityError, Problem, Problems, SetupError, UserError
from dslm.parallel.cost import step_time
from dslm.parallel.devices import Cluster, read_gpus
from dslm.parallel.layouts import Layout, fits, layouts
from dslm.parallel.memory import estimate
from dslm.run.config import RunConfig
from dslm.run.sequence_parallel import sequence_sizes
from dslm.run.tensor_parallel import tensor_sizes
from dslm.train.combination import Combination, combine


def main(argv: list[str]) -> None:
    """Print what a run would take, and which layouts would do."""
    parser, problems = _parser(), Problems()
    arguments, problems.problems = without_options(argv, parser)
    options = problems.collect(parser.parse_args, arguments)
    cluster = problems.collect(_cluster, options) if options else None
    if options is None or cluster is None:
        raise UserError(*problems.problems)
    world = World(size=cluster.ranks, local_size=cluster.local, cpu=cluster.cpu)
    gpu = cluster.device.name if cluster.device else None
    settings = options.words, options.config, options.deepspeed_config
    found = problems.collect(combine, *settings, world, gpu)
    if problems.problems or found is None:
        raise UserError(*problems.problems)
    available = _available(options, cluster)
    asked = _layout(found, cluster)
    others = layouts(
        asked.model,
        found.plan,
        found.deepspeed,
        cluster,
        forward=found.forward,
        available=available,
        sharing=_sharing(found.config, cluster.local),
    )
    enough = fits(asked.memory, cluster, available)
    if options.json:
        record = as_record(asked, others, cluster, found, fits=enough)
        print(json.dumps(record, indent=2))
    else:
        print(*screen(asked, others, cluster, found, fits=enough), sep="\n")
    if not enough:
        raise CapacityError(_too_large(asked, others, cluster))


def _layout(found: Combination, cluster: Cluster) -> Layout:
    """The layout that was asked about."""
    model, plan, config = found.config.model, found.plan, found.deepspeed
    memory = estimate(model, plan, config, cpu=cluster.cpu, forward=found.forward)
    return Layout(
        plan, model, config, memory, step_time(model, plan, config, cluster, found.forward.scored)
    )


def _sharing(config: RunConfig, ranks: int) -> list[tuple[int, int]]:
    """How many ranks of a host can share each layer, and with it how many each row."""
    return [
        (layers, rows)
        for layers in tensor_sizes(config, ranks)
        for rows in sequence_sizes(ranks // layers, config.model.shared(layers), config.objective)
    ]


def _too_large(asked: Layout, others: list[Layout], cluster: Cluster) -> str:
    where = "main memory" if cluster.device is None else cluster.device.name
    needed = f"a rank needs about {asked.memory.device / 2**30:.1f} GiB"
    instead = "the layouts above fit" if others else "no layout fits: use more GPUs or larger ones"
    return f"{needed}, more than its share of {where}; {instead}"


def _available(options: argparse.Namespace, cluster: Cluster) -> float | None:
    """Bytes of main memory for the ranks of a host."""
    if options.host_memory is not None:
        return float(2**30 * options.host_memory)
    return available_memory() if cluster.cpu else None


def _cluster(options: argparse.Namespace) -> Cluster:
    problems = [
        Problem(f"--{key.replace('_', '-')}", value, "must be above 0", "leave it out")
        for key in ("hosts", "cpu", "network", "host_memory")
        if (value := getattr(options, key)) is not None and value <= 0
    ]
    if (options.gpus is None) == (options.cpu is None):
        rule = "say what each host has: GPUs, or a number of CPU ranks"
        problems.append(Problem("--gpus", options.gpus, rule, "add --gpus 8xH100-80G or --cpu 2"))
    if problems:
        raise SetupError(*problems)
    if options.cpu is not None:
        return Cluster(options.hosts, options.cpu, None)
    return read_gpus(options.gpus, options.hosts, options.network)


def _parser() -> Parser:
    parser = Parser(
        "dslm check",
        "Check settings, DeepSpeed's JSON and a layout for machines that need not be here:\n"
        "mistakes, memory, bytes sent, time, and the layouts that fit. Settings: as for pretrain;\n"
        "without data.train the vocabulary is model.vocabulary, or GPT-2's.\n"
        "Exit code: 0 it fits, 1 it does not, 2 it is not possible.",
        "dslm check gpt2_small --deepspeed_config ds_configs/zero3_bf16.json --gpus 8xH100-80G",
    )
    parser.add_argument("words", metavar="PRESET key=value", nargs="*")
    parser.add_argument("--deepspeed_config", metavar="FILE", help="DeepSpeed's JSON (required)")
    parser.add_argument("--config", metavar="FILE", help=SETTINGS)
    parser.add_argument("--hosts", metavar="N", type=int, default=1, help="how many hosts")
    gpus = "GPUs of each host, such as 8xH100-80G (default: none)"
    parser.add_argument("--gpus", metavar="NxNAME", help=gpus)
    ranks = "or ranks of each host on its CPUs (default: none)"
    parser.add_argument("--cpu", metavar="N", type=int, help=ranks)
    network = "Gbit/s of network for each GPU (default: as in its maker's reference host)"
    parser.add_argument("--network", metavar="GBIT", type=float, help=network)
    memory = "main memory of each host (default: for --cpu what is free here)"
    parser.add_argument("--host-memory", metavar="GIB", type=float, help=memory)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser
