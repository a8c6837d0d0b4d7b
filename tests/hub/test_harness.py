"""Tasks of lm-eval: a run has the scores of what is exported of it, by lm-eval's own model."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.hub import byte_level
from helpers.needs import oracle
from helpers.paths import ROOT
from helpers.untrained import learned_run
from tokenizers import processors

from dslm.commands import evaluate
from dslm.commands.cli import run as run_command
from dslm.hub.exporting import export_run
from dslm.inference.trained import load
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.run.results import read_evaluations

TASKS = Path(__file__).parent / "harness"
NAMES = ["colour_choice", "colour_written", "colour_texts"]
LLAMA = ["positions=rotary", "norm=rms", "activation=swiglu", "bias=false", "key_value_heads=1"]
SHAPES = {"bpe": [], "unigram": LLAMA, "with <s>": LLAMA}
"""The shape of each model by its tokenizer: GPT-2's, and Llama's."""
CHOICE = (TASKS / "choice.yaml").read_text()
WRITTEN = (TASKS / "written.yaml").read_text()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks name their data as seen from the root; nothing is left in the user's folders."""
    oracle("lm_eval")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lines of text that answer the questions of the tasks, two of them wrongly."""
    rows = [json.loads(line) for line in (TASKS / "colours.jsonl").read_text().splitlines()]
    facts = {one["thing"]: one["answer"] for one in rows} | {"sand": "yellow", "smoke": "grey"}
    draw = random.Random(1)
    lines = [
        " ".join(f"the {thing} is {facts[thing]}." for thing in draw.sample([*facts], 4))
        for _ in range(250)
    ]
    path = tmp_path_factory.mktemp("facts") / "text.txt"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def run_of(
    facts: Path, deepspeed_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The run that has learned the facts with a tokenizer of one of the kinds."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp("run")
            own = tokenizer(kind, facts, folder / "tokenizer")
            shards, _ = shard([facts], folder / "shards", ShardingConfig(own))
            words = [f"model.{word}" for word in SHAPES[kind]]
            made[kind] = learned_run(
                folder / "run", shards.folder, deepspeed_file, *words, steps=200
            )
        return made[kind]

    return make


def tokenizer(kind: str, text: Path, folder: Path) -> Path:
    if kind == "with <s>":
        model = byte_level()
        model.add_special_tokens(["<s>"])
        special = [("<s>", model.token_to_id("<s>"))]
        model.post_processor = processors.TemplateProcessing(
            single=["<s>", "$A"], special_tokens=special
        )
        folder.mkdir()
        model.save(str(folder / "tokenizer.json"))
    else:
        size = 380 if kind == "bpe" else 290
        train_tokenizer([text], folder, TokenizerConfig(kind, size))  # type: ignore[arg-type]
    return folder


def evaluated(model: Any, shots: int) -> Any:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from dslm.inference.harness_tasks import find_tasks

    how = {"task_manager": TaskManager(include_defaults=False), "bootstrap_iters": 0}
    return simple_evaluate(model, tasks=find_tasks(NAMES, TASKS), num_fewshot=shots, **how)


def flat(answers: Any) -> list[Any]:
    """The numbers and texts among the answers to an example's requests."""
    several = isinstance(answers, (list, tuple))
    return [part for one in answers for part in flat(one)] if several else [answers]


@pytest.mark.parametrize(("kind", "shots"), [("bpe", 0), ("unigram", 2), ("with <s>", 1)])
def test_a_run_and_what_is_exported_of_it_have_the_same_scores(
    kind: str, shots: int, run_of: Callable[[str], Path], tmp_path: Path
) -> None:
    from lm_eval.models.huggingface import HFLM

    from dslm.inference.harness import Harnessed

    export_run(run_of(kind), tmp_path / "out")
    model = Harnessed(load(run_of(kind)))
    own, theirs = (
        evaluated(model, shots),
        evaluated(HFLM(str(tmp_path / "out"), device="cpu"), shots),
    )
    assert bool(model.shortened) is bool(shots)  # with examples a question has more than 24 tokens
    for name in NAMES:
        pairs = [*zip(own["samples"][name], theirs["samples"][name], strict=True)]
        assert len({str(one["resps"]) for one, _ in pairs}) > 1
        for one, other in pairs:
            assert one["arguments"] == other["arguments"]
            assert flat(one["resps"]) == pytest.approx(flat(other["resps"]), abs=1e-4)
        for metric, value in theirs["results"][name].items():
            if "," in metric and "stderr" not in metric:
                assert own["results"][name][metric] == pytest.approx(value, abs=5e-5, rel=1e-6)


def test_the_command_prints_and_keeps_what_lm_eval_measures(
    run_of: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    from dslm.inference.harness import Harnessed

    run = run_of("unigram")
    words = [str(run), "--harness-path", str(TASKS)]
    assert run_command(evaluate.main, [*words, "--harness", "colours,colour_t*", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    expected, figures = evaluated(Harnessed(load(run)), 0)["results"], {}
    for name in NAMES:
        measured = {
            key.removesuffix(",none"): value
            for key, value in expected[name].items()
            if "," in key and "stderr" not in key
        }
        figures[name] = pytest.approx(measured)
        found = printed["tasks"][name]
        assert {key: found[key] for key in measured} == figures[name]
        for metric, value in measured.items():
            low, high = found[f"{metric}_95"]
            assert low <= value <= high
    kept = {one["data"]: one for one in read_evaluations(run)}
    for name in NAMES:
        one = kept[f"{name}, 0-shot"]
        assert {key: one[key] for key in figures[name].expected} == figures[name]
    assert printed["tasks"]["colour_choice"]["acc"] == 0.75


def test_a_part_of_a_task_is_another_question_and_is_called_so(
    run_of: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(run_of("unigram")), "--harness", str(TASKS / "choice.yaml"), "--limit", "3"]
    assert run_command(evaluate.main, words) == 0
    assert "colour_choice, 0-shot, first 3, 3 examples" in capsys.readouterr().out
    assert "colour_choice, 0-shot, first 3" in [
        one["data"] for one in read_evaluations(run_of("unigram"))
    ]


def test_lm_eval_itself_finds_the_model_by_its_name(run_of: Callable[[str], Path]) -> None:
    from lm_eval.api.registry import get_model

    import dslm.inference.harness  # noqa: F401

    given = {"batch_size": 1, "device": "cuda:0"}
    model = get_model("dslm").create_from_arg_string(f"run={run_of('bpe')},step=7", given)
    assert model.trained.step == 7
    assert get_model("hf").__name__ == "HFLM"


def test_equal_requests_are_drawn_anew_and_all_of_them_as_before(
    run_of: Callable[[str], Path],
) -> None:
    from dslm.inference.harness import Harnessed

    drawn = {"do_sample": True, "temperature": 3.0, "max_gen_toks": 6}
    greedy = {"until": ["."], "max_gen_toks": 6}
    asked = [("the sky is", drawn), ("the sky is", greedy), ("the grass is", drawn)] * 3
    requests = [SimpleNamespace(args=args) for args in asked]
    model = Harnessed(load(run_of("unigram")))
    found = model.generate_until(requests)
    assert len({*found[0::3]}) == len({*found[2::3]}) == 3
    assert found[1::3] == [" blue"] * 3
    assert model.generate_until(requests) == found


WRONG = {
    "data on the hub": (
        CHOICE.replace("dataset_path: json", "dataset_path: someone/colours").replace(
            "dataset_kwargs:\n  data_files: {test: tests/hub/harness/colours.jsonl}\n", ""
        ),
        "its data is not on this machine",
    ),
    "data that is not there": (
        CHOICE.replace("colours.jsonl", "none.jsonl"),
        "its data is not the",
    ),
    "an unknown metric": (CHOICE.replace("acc_norm", "accc"), "cannot be loaded: "),
    "an unknown way to write": (
        WRITTEN.replace("max_gen_toks", "min_p: 0.1, max_gen_toks"),
        "generation_kwargs.min_p = 0.1: there is no such way of writing here",
    ),
    "code of the model": (CHOICE + "unsafe_code: true\n", "runs code that a model has written"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_task_that_cannot_be_run_is_named_with_the_reason(kind: str, tmp_path: Path) -> None:
    from dslm.errors import DataError
    from dslm.inference.harness_tasks import find_tasks

    content, said = WRONG[kind]
    (tmp_path / "wrong.yaml").write_text(content)
    (tmp_path / "right.yaml").write_text(CHOICE.replace("colour_choice", "right"))
    with pytest.raises(DataError) as caught:
        find_tasks([], tmp_path)
    (problem,) = caught.value.problems
    assert problem.where.startswith("--harness colour_")
    assert said in str(problem)


ALL_AT_ONCE = """\
import sys
from dslm.commands import evaluate
from dslm.commands.cli import run
code = run(evaluate.main, sys.argv[1:])
print(code, "torch" in sys.modules)"""


def test_all_mistakes_are_reported_at_once_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "names.yaml").write_text(CHOICE.replace("json", "someone/colours", 1))
    words = [str(tmp_path / "none"), "--harness-path", str(TASKS), "--num-fewshot", "-1"]
    words += ["--harness", f"colour_choice,{tmp_path / 'names.yaml'}", "--limit", "0"]
    done = subprocess.run(
        [sys.executable, "-c", ALL_AT_ONCE, *words, "--predictions", "file", "--shots", "2"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("HF_")},
    )
    assert done.stdout == "2 False\n", done.stderr
    for said in (
        "it does not exist",
        "--num-fewshot = -1",
        "--limit = 0",
        "--predictions = 'file'",
    ):
        assert said in done.stderr
    assert "its data is not on this machine" in done.stderr
    assert "OfflineMode" in done.stderr  # nobody was asked


def test_a_model_that_continues_no_text_and_a_missing_package_are_reported_together(
    shard_set: Path,
    deepspeed_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from helpers.untrained import untrained_run

    monkeypatch.setattr("dslm.inference.harness_tasks.find_spec", lambda name: None)
    run = untrained_run(tmp_path / "run", shard_set, deepspeed_file, "objective.kind=denoising")
    assert run_command(evaluate.main, [str(run), "--harness", "colour_choice"]) == 2
    said = capsys.readouterr().err
    assert "lm-eval: the package is not installed; pip install 'dslm[lm-eval]'" in said
    assert "was not trained to continue a text (objective.kind = denoising)" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--limit", "3"], "--harness: no tasks are named"),
        (["--harness", ","], "--harness = ',': no tasks are named"),
        (["--harness-path", "nowhere"], "--harness-path = 'nowhere': there is no such folder"),
        (["--harness-path", "ds_configs"], "--harness-path = 'ds_configs': holds no tasks"),
    ],
)
def test_without_tasks_there_is_one_mistake(
    words: list[str], said: str, run_of: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(evaluate.main, [str(run_of("bpe")), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {said}")


def test_the_nearest_name_is_suggested_for_an_unknown_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from dslm.errors import DataError
    from dslm.inference import harness_tasks

    monkeypatch.setattr("lm_eval.tasks.manager.Path", lambda path: TASKS)  # for all of lm-eval's
    with pytest.raises(DataError, match=r"colour_choic.*did you mean 'colour_choice'"):
        harness_tasks.find_tasks(["colour_choic"], TASKS)
