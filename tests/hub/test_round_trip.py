"""Their models through our hands and back, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.hub import (
    COUSINS,
    TASK_COUSINS,
    TASKS,
    THEIRS,
    asked,
    asked_ours,
    change,
    settings_of,
)
from helpers.tasks import examples_apart
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from dslm.commands.cli import run
from dslm.commands.main import dispatch
from dslm.hub.exporting import export_run
from dslm.hub.importing import import_folder
from dslm.inference.complete import complete
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import load

TOKENS = torch.randint(301, (3, 24), generator=torch.Generator().manual_seed(1))
Home = Callable[..., Path]
Theirs = Callable[[str], Any]


def difference(run: Path, model: Any, tokens: torch.Tensor = TOKENS) -> float:
    trained = load(run)
    if trained.config.model.classes:
        return examples_apart(trained, model)
    with torch.no_grad():
        ours = asked_ours(trained.model, trained.config.model, tokens)
        return float((ours - asked(model, tokens)).abs().max())


@pytest.mark.parametrize("kind", [*THEIRS, *TASKS, *COUSINS, *TASK_COUSINS])
def test_an_imported_model_gives_the_logits_of_transformers(
    kind: str, home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    model = theirs(kind)
    import_folder(home(model), tmp_path / "run")
    assert difference(tmp_path / "run", model) <= 1e-5


@pytest.mark.parametrize("kind", [*THEIRS, *TASKS])
def test_what_was_imported_is_exported_to_the_last_bit(
    kind: str, home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    model = theirs(kind)
    folder = home(model)
    import_folder(folder, tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "again")
    file = "model.safetensors"
    assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()
    # Copied, as sums may depend on how the weights lie in memory.
    back = deepcopy(type(model).from_pretrained(tmp_path / "again"))
    with torch.no_grad():
        assert torch.equal(asked(back, TOKENS), asked(model, TOKENS))


def test_an_exported_config_says_what_theirs_said(
    home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    for kind in (*THEIRS, *TASKS):
        folder = home(theirs(kind), kind)
        import_folder(folder, tmp_path / f"run {kind}")
        export_run(tmp_path / f"run {kind}", tmp_path / f"again {kind}")
        before, after = settings_of(folder), settings_of(tmp_path / f"again {kind}")
        common = before.keys() & after.keys()
        if kind.startswith("t5"):  # true of every T5 since version 5, but earlier ones go by it
            common -= {"tie_word_embeddings"}
        assert {key: after[key] for key in common} == {key: before[key] for key in common}


def test_an_imported_model_continues_a_text_as_transformers_does(
    home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    folder = home(theirs("llama"))
    import_folder(folder, tmp_path / "run")
    ours = complete(load(tmp_path / "run"), "the river", 12, SamplingConfig(temperature=0))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokens = tokenizer("the river", return_tensors="pt")
    made = model.generate(
        **tokens, max_new_tokens=12, do_sample=False, suppress_tokens=[300], pad_token_id=0
    )
    assert ours == tokenizer.decode(made[0], skip_special_tokens=True)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "bert"])
def test_a_pickled_file_is_read_as_tensors(
    kind: str, home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    model = theirs(kind)
    folder = home(model)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    import_folder(folder, tmp_path / "run")
    assert difference(tmp_path / "run", model) <= 1e-5


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_model_may_lie_in_several_files(
    suffix: str, home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    model = theirs("llama")
    folder = home(model, max_shard_size="60KB")
    files = sorted(folder.glob("model-*.safetensors"))
    assert len(files) > 2
    if suffix == "bin":
        index = (folder / "model.safetensors.index.json").read_text()
        text = index.replace(".safetensors", ".bin")
        (folder / "pytorch_model.bin.index.json").write_text(text)
        for file in [*files, folder / "model.safetensors.index.json"]:
            if file in files:
                torch.save(load_file(file), file.with_suffix(".bin"))
            file.unlink()
    import_folder(folder, tmp_path / "run")
    assert difference(tmp_path / "run", model) <= 1e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_become_float32(
    dtype: torch.dtype, home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    model = theirs("gpt2")
    folder = home(model.to(dtype))
    import_folder(folder, tmp_path / "run")
    assert difference(tmp_path / "run", model.float()) <= 1e-5
    assert {weight.dtype for weight in load(tmp_path / "run").model.parameters()} == {torch.float32}


def test_names_without_their_beginning_and_buffers_are_understood(
    home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    model = theirs("gpt2")
    folder = home(model)
    weights = {k.removeprefix("transformer."): v for k, v in model.state_dict().items()}
    del weights["lm_head.weight"]
    masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, 24, 24) for layer in range(3)}
    scales = {f"h.{layer}.attn.masked_bias": torch.tensor(-1e4) for layer in range(3)}
    save_file({**weights, **masks, **scales}, folder / "model.safetensors")
    import_folder(folder, tmp_path / "run")
    assert difference(tmp_path / "run", model) <= 1e-5


def test_a_tied_head_may_be_in_the_file_as_well(home: Home, theirs: Theirs, tmp_path: Path) -> None:
    model = theirs("llama tied")
    folder = home(model)
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, folder / "model.safetensors")
    import_folder(folder, tmp_path / "run")
    assert difference(tmp_path / "run", model) <= 1e-5


def test_settings_of_older_versions_are_understood(
    home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    model = theirs("llama")
    folder = home(model)
    change(folder, rope_parameters=None, rope_theta=500.0, rope_scaling=None, head_dim=None)
    change(folder, pretraining_tp=1, torch_dtype="float32", architectures=None)
    import_folder(folder, tmp_path / "run")
    assert difference(tmp_path / "run", model) <= 1e-5


def test_commands_that_need_steps_say_that_an_imported_run_has_none(
    home: Home, theirs: Theirs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_folder(home(theirs("gpt2")), tmp_path / "run")
    for command in (["data", "trace", "RUN", "--step", "1"], ["report", "RUN"]):
        words = [str(tmp_path / "run") if word == "RUN" else word for word in command]
        assert run(dispatch, words) == 2
    error = capsys.readouterr().err
    assert "has made no step here: it was imported" in error
    assert "holds no training step yet" in error


def test_the_special_ids_are_those_the_model_was_trained_with(
    home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    folder = home(theirs("llama"))
    change(folder, bos_token_id=5, eos_token_id=[7, 9], pad_token_id=-1)
    import_folder(folder, tmp_path / "run")
    assert load(tmp_path / "run").tokenizer.special == {"bos": 5, "eos": 7}
    export_run(tmp_path / "run", tmp_path / "again")
    written = settings_of(tmp_path / "again")
    assert [written[f"{name}_token_id"] for name in ("bos", "eos", "pad")] == [5, 7, None]
