"""The rooms of the library and the arrows between them, read from the sources themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from helpers.paths import ROOT

LIBRARY = ROOT / "dslm"
FILES = sorted(LIBRARY.rglob("*.py"), key=lambda path: path != LIBRARY / "__init__.py")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in FILES
}
SCRIPTS = sorted([*(ROOT / "launch").glob("*.py"), *(ROOT / "preprocess").glob("*.py")])

ROOMS = [
    {"errors"},
    {"launchers", "process_table"},
    {"ancestors"},
    {"signals"},
    {"arrays", "environment", "progress"},
    {"cluster", "config", "workers"},
    {"files"},
    {"tokenizers", "metrics"},
    {"shards"},
    {"quantization"},
    {"preprocess", "sampling", "model"},
    {"objectives"},
    {"tasks"},
    {"run"},
    {"parallel"},
    {"report"},
    {"train"},
    {"chaos", "inference"},
    {"hub", "inspection"},
    {"api", "commands"},
    {"__main__"},
]
"""From the ground up: a room may import what lies below it, and itself, but not its neighbour."""

HEAVY = {
    "torch",
    "deepspeed",
    "pyarrow",
    "datasets",
    "sentencepiece",
    "tokenizers",
    "safetensors",
    "transformers",
}

NEWER = set(
    """
    tomllib datetime.UTC enum.StrEnum enum.verify itertools.batched contextlib.chdir math.cbrt
    math.exp2 hashlib.file_digest typing.Self typing.Never typing.assert_never typing.LiteralString
    typing.Required typing.NotRequired typing.Unpack typing.override asyncio.TaskGroup
    asyncio.timeout ExceptionGroup BaseExceptionGroup warnings.deprecated copy.replace
    """.split()  # noqa: SIM905
)
"""What Python 3.10, the oldest that `pyproject.toml` allows, does not have."""

CHECKS = """\
import dslm.commands.pretrain, dslm.parallel.memory, dslm.parallel.world
import dslm.run.checkpoint, dslm.run.metrics, dslm.run.schedule, dslm.train.screen
import dslm.commands.check, dslm.commands.migrate, dslm.parallel.usage"""


def room(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def level(name: str) -> int:
    return next(number for number, rooms in enumerate(ROOMS) if name in rooms)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(node: ast.AST) -> Iterator[str]:
    """The modules that the import statements within a node name, wherever they stand."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            for alias in child.names:
                name = f"{child.module}.{alias.name}"
                yield name if name in MODULES else str(child.module)


def packages(path: Path) -> set[str]:
    """The top packages that a module imports anywhere, in a function too."""
    return {name.split(".")[0] for name in imported(tree(path))}


def rooms_imported(path: Path) -> set[str]:
    """The other rooms that a module imports anywhere."""
    names = [name.split(".") for name in imported(tree(path)) if name.startswith("dslm.")]
    return {parts[1] for parts in names} - {room(path)}


def imported_at_once(path: Path) -> set[str]:
    """The top packages that importing a module imports; what stands in functions waits."""
    statements = [
        node
        for node in tree(path).body
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return {name.split(".")[0] for node in statements for name in imported(node)}


def used(path: Path) -> set[str]:
    """The dotted names that a module reads, such as ``os.environ``, and the names it calls."""
    nodes = list(ast.walk(tree(path)))
    dotted = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    return dotted | {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


def name_of(path: Path) -> str:
    return path.relative_to(LIBRARY).as_posix()


def test_every_room_has_its_place() -> None:
    assert {room(path) for path in FILES[1:]} == set().union(*ROOMS)


@pytest.mark.parametrize("path", FILES[1:], ids=name_of)
def test_no_arrow_between_rooms_runs_upwards(path: Path) -> None:
    assert not {other for other in rooms_imported(path) if level(other) >= level(room(path))}


def test_no_module_needs_itself() -> None:
    arrows = {
        name: {other for other in imported(tree(path)) if other in MODULES}
        for name, path in MODULES.items()
    }
    TopologicalSorter(arrows).prepare()  # raises CycleError, which names the circle


def test_only_commands_know_the_offline_stage() -> None:
    users = {room(path) for path in FILES[1:] if "preprocess" in rooms_imported(path)}
    assert users == {"commands"}


def test_no_room_holds_more_than_three_tenths_of_the_lines() -> None:
    lines: Counter[str] = Counter()
    for path in FILES:
        lines[room(path)] += len(path.read_text().splitlines())
    assert max(lines.values()) <= 0.3 * lines.total()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_only_hands_over_to_a_command(path: Path) -> None:
    assert set(imported(tree(path))) == {"sys", "pathlib", "dslm.commands.start"}
    assert len(path.read_text().splitlines()) <= 40


def test_only_one_room_knows_deepspeed_and_imports_it_late() -> None:
    users = [path for path in FILES if "deepspeed" in packages(path)]
    assert users
    assert {room(path) for path in users} == {"parallel"}
    assert [name_of(path) for path in users if "deepspeed" in imported_at_once(path)] == []


TORCHLESS = {"cluster", "files", "tokenizers", "shards", "preprocess", "sampling", "run", "report"}
TORCHLESS |= {"metrics"}


@pytest.mark.parametrize("name", sorted(TORCHLESS))
def test_data_runs_and_reports_need_no_torch(name: str) -> None:
    users = [p for p in FILES if room(p) == name and packages(p) & {"torch", "deepspeed"}]
    assert [name_of(path) for path in users] == []


def test_environment_variables_are_read_in_one_place() -> None:
    readers = {name_of(p) for p in FILES if used(p) & {"os.environ", "os.getenv", "os.putenv"}}
    assert readers == {"environment.py"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_oldest_python_has_what_is_used_of_its_library(path: Path) -> None:
    nodes = list(ast.walk(tree(path)))
    named = {
        f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    named |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    named |= {node.id for node in nodes if isinstance(node, ast.Name)}
    assert not (named | used(path)) & NEWER


def test_only_those_who_speak_to_the_user_print() -> None:
    speakers = {name_of(path) for path in FILES if "print" in used(path)}
    outside = {name for name in speakers if not name.startswith("commands/")}
    assert outside == {"progress.py"}


def test_only_commands_end_the_process() -> None:
    enders = {name_of(p) for p in FILES if used(p) & {"sys.exit", "os._exit", "exit", "quit"}}
    # A worker of preprocessing whose parent has gone has nobody left to ask. A process that is
    # asked to stop for the third time may have a main thread that hangs; the watchdog ends a rank
    # whose main thread waits within a library.
    commands = {"commands/cli.py", "commands/main.py", "commands/start.py"}
    assert enders == commands | {"signals.py", "workers.py", "train/watchdog.py"}


def test_nothing_ever_reads_a_pickle() -> None:
    for path in [*FILES, *SCRIPTS]:
        assert not packages(path) & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
        assert not used(path) & {"torch.save", "numpy.load", "np.load"}


def test_what_torch_saved_is_read_in_one_place_and_as_tensors_only() -> None:
    readers = [path for path in FILES if "torch.load" in used(path)]
    assert [name_of(path) for path in readers] == ["hub/stored.py"]
    calls = [node for node in ast.walk(tree(readers[0])) if isinstance(node, ast.Call)]
    loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
    assert all("weights_only=True" in ast.unparse(call) for call in loads)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
    assert ast.get_docstring(tree(path))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_function_fits_on_a_page(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    lengths = {one.name: (one.end_lineno or one.lineno) - one.lineno + 1 for one in functions}
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}


def typed(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether every parameter but `self` and `cls` has a type, and the result too."""
    args = function.args
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
    untyped = {one.arg for one in every if one and one.annotation is None}
    return function.returns is not None and untyped <= {"self", "cls"}


def test_every_function_of_the_tests_is_typed() -> None:
    functions = [
        (path, node)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    assert functions
    assert [f"{path.relative_to(ROOT)}: {f.name}" for path, f in functions if not typed(f)] == []


def loaded_after(statement: str, folder: Path) -> set[str]:
    """The top packages in memory after a statement in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_the_library_imports_nothing_else(tmp_path: Path) -> None:
    assert not loaded_after("import dslm", tmp_path) & {*HEAVY, "pydantic", "numpy", "tqdm"}


def test_importing_every_check_leaves_the_heavy_libraries_alone(tmp_path: Path) -> None:
    assert not loaded_after(CHECKS, tmp_path) & HEAVY


COMMANDS = ["shard", "train_tokenizer", "evaluate", "generate", "report", "hub", "hosts", "status"]
COMMANDS += ["checkpoint", "quantization", "inspect"]


@pytest.mark.parametrize("name", COMMANDS)
def test_importing_a_command_leaves_the_heavy_libraries_alone(name: str, tmp_path: Path) -> None:
    assert not loaded_after(f"import dslm.commands.{name}", tmp_path) & HEAVY
