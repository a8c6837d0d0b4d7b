from __future__ import annotations

import io
import json
import os
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from dslm.commands.cli import Parser, run, script, typed_path
from dslm.errors import ConfigError, DslmError, Problem, TrainingError, UserError


def ending_with(error: BaseException) -> int:
    def main(_: list[str]) -> None:
        raise error

    return run(main, [])


def test_a_command_that_returns_has_done_well() -> None:
    seen: list[list[str]] = []
    assert run(seen.append, ["a", "b"]) == 0
    assert seen == [["a", "b"]]


@pytest.mark.parametrize(
    ("error", "code", "reported"),
    [
        (ConfigError(Problem("a", 1, "is wrong", "mend it")), 2, "error: a = 1: is wrong; mend it"),
        (TrainingError("the loss is nan"), 1, "error: the loss is nan"),
        (DslmError("something"), 1, "error: something"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, reported: str
) -> None:
    assert ending_with(error) == code
    streams = capsys.readouterr()
    assert (streams.out, streams.err) == ("", f"{reported}\n")


def test_a_path_that_is_no_unicode_is_printed_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, "utf-8", "strict"))
    assert run(lambda words: print(*words, flush=True), ["é", os.fsdecode(b"caf\xe9")]) == 0
    assert printed.getvalue() == "é ".encode() + b"caf\xe9\n"


def test_every_problem_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending_with(UserError(Problem("a", None, "x"), Problem("b", "c", "y"))) == 2
    assert capsys.readouterr().err == "error: a: x\nerror: b = 'c': y\n"


def test_what_is_printed_is_left_for_torchrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    assert ending_with(UserError(Problem("a", None, "x"), Problem("b", "c", "y"))) == 2
    left = json.loads((tmp_path / "error.json").read_text())["message"]["message"]
    assert left + "\n" == capsys.readouterr().err == "error: a: x\nerror: b = 'c': y\n"


def test_an_error_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        ending_with(ZeroDivisionError())


def test_a_script_ends_with_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["script.py", "word"])
    seen: list[list[str]] = []
    with pytest.raises(SystemExit) as ended:
        script(seen.append)
    assert ended.value.code == 0
    assert seen == [["word"]]


def even(text: str) -> int:
    if int(text) % 2:
        raise ArgumentTypeError(f"{text} is not even")
    return int(text)


@pytest.fixture
def parser() -> Parser:
    parser = Parser("tool", "A tool.")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--pairs", type=even)
    parser.add_argument("--kind", choices=["near", "far"])
    parser.add_argument("--workers", type=int)
    parser.add_argument("--verbose", action="store_true")
    return parser


def reported(parser: Parser, *words: str) -> list[str]:
    with pytest.raises(UserError) as error:
        parser.parse_args(words)
    return [str(problem) for problem in error.value.problems]


def test_options_may_stand_between_words(parser: Parser) -> None:
    found = parser.parse_args(["a", "--workers", "2", "b"])
    assert (found.words, found.workers) == (["a", "b"], 2)


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["--work", "2"], ["--work: unknown argument; did you mean '--workers'?"]),
        (["--verb"], ["--verb: unknown argument; did you mean '--verbose'?"]),
        (["--zzz=3"], ["--zzz: unknown argument; see tool --help"]),
        (
            ["--worker=2", "--verbos"],
            [
                "--worker: unknown argument; did you mean '--workers'?",
                "--verbos: unknown argument; did you mean '--verbose'?",
            ],
        ),
        (["--workers", "x"], ["--workers = 'x': must be a whole number"]),
        (["--pairs", "3"], ["--pairs: 3 is not even; see tool --help"]),
        (
            ["--kind", "fat", "--workers", "x", "--verbos"],
            [
                "--kind = 'fat': there is no such one; did you mean 'far'?",
                "--workers = 'x': must be a whole number",
                "--verbos: unknown argument; did you mean '--verbose'?",
            ],
        ),
        (["--workers"], ["--workers: expected one argument; see tool --help"]),
    ],
)
def test_an_argument_that_is_not_known_is_never_guessed(
    parser: Parser, words: list[str], lines: list[str]
) -> None:
    assert reported(parser, *words) == lines


def test_what_is_missing_is_reported_with_what_is_wrong() -> None:
    parser = Parser("tool", "A tool.")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--data", required=True)
    parser.add_argument("--step", type=int)
    assert reported(parser, "--step", "new") == [
        "--step = 'new': must be a whole number",
        "--data: is missing; see tool --help",
        "RUN: is missing; see tool --help",
    ]


def test_words_beside_a_text_want_quotes() -> None:
    parser = Parser("tool", "A tool.", text="--prompt")
    parser.add_argument("run")
    parser.add_argument("--prompt", default="")
    rule = "is not part of an option: a text of several words needs quotes"
    assert reported(parser, "a", "--prompt", "Once", "upon", "it's") == [
        f"""upon it's: {rule}; write --prompt 'Once upon it'"'"'s'"""
    ]
    assert reported(parser, "a", "Once upon") == [f"Once upon: {rule}; write --prompt 'Once upon'"]


def test_a_quoted_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert typed_path("~/runs/a") == Path("/home/ada/runs/a")
    assert typed_path("runs/~a") == Path("runs/~a")
