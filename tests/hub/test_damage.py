"""Folders that are not what they say: everything wrong is reported by name, and nothing is run."""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.hub import change
from safetensors.torch import load_file, save_file

from dslm.commands.cli import run
from dslm.commands.hub import main
from dslm.errors import UserError
from dslm.hub.importing import import_folder

FILE = "model.safetensors"
NORM = "transformer.ln_f.weight"


@pytest.fixture
def folder(home: Callable[..., Path], theirs: Callable[[str], Any]) -> Path:
    """A GPT-2."""
    return home(theirs("gpt2"))


@pytest.fixture
def reported(tmp_path: Path) -> Callable[[Path], list[str]]:
    """What an import says is wrong, one line for each; it must leave nothing behind."""

    def errors(folder: Path) -> list[str]:
        with pytest.raises(UserError) as caught:
            import_folder(folder, tmp_path / "runs" / "a")
        assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())
        return str(caught.value).splitlines()

    return errors


def rewrite(folder: Path, **tensors: torch.Tensor | None) -> None:
    """Put other tensors into a folder's file, or take some out."""
    weights = {**load_file(folder / FILE), **tensors}
    save_file({k: v for k, v in weights.items() if v is not None}, folder / FILE)


def pickled(folder: Path, content: Any) -> None:
    (folder / FILE).unlink(missing_ok=True)
    torch.save(content, folder / "pytorch_model.bin")


def test_every_tensor_that_does_not_fit_is_reported_at_once(folder: Path, reported: Any) -> None:
    rewrite(
        folder,
        **{
            NORM: None,
            "transformer.wpe.weight": torch.zeros(23, 48),
            "transformer.h.3.ln_1.weight": torch.zeros(48),
            "transformer.h.0.ln_1.bias": torch.zeros(48, dtype=torch.int8),
        },
    )
    lines = reported(folder)
    assert len(lines) == 4
    assert f"{NORM}: is missing" in lines[0]
    text = "\n".join(lines)
    assert "transformer.wpe.weight = [23, 48]: must be [24, 48] by config.json" in text
    assert "transformer.h.3.ln_1.weight: is no weight of GPT-2" in text
    assert "transformer.h.0.ln_1.bias = 'I8': dslm reads only" in text


def test_names_that_cannot_be_shown_are_escaped(folder: Path, reported: Any) -> None:
    rewrite(folder, **{"transformer.\x1b[31mred\n": torch.zeros(3)})
    (line,) = reported(folder)
    assert r"transformer.\x1b[31mred\n: is no weight of GPT-2" in line
    weights = load_file(folder / FILE)
    pickled(folder, {**weights, "\x1b]0;a\x07": 3})
    (line,) = reported(folder)
    assert r"pytorch_model.bin: \x1b]0;a\x07: is not a plain tensor" in line
    index = {"weight_map": {"transformer.wte.weight": "\x1b[2J.safetensors"}}
    (folder / "pytorch_model.bin").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (line,) = reported(folder)
    assert r"\x1b[2J.safetensors: no such file" in line


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e39])
def test_numbers_that_are_not_finite_are_refused_with_the_name(
    number: float, folder: Path, reported: Any
) -> None:
    weight = load_file(folder / FILE)[NORM].double()
    weight[5] = number
    rewrite(folder, **{NORM: weight})
    assert f"{FILE}: {NORM}: holds numbers that are not finite" in reported(folder)[0]


def test_settings_weights_and_tokenizer_are_looked_at_in_one_go(
    folder: Path, reported: Any
) -> None:
    change(folder, n_head=5, activation_function="relu", scale_attn_weights=False, n_embd="48")
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:-100])
    (folder / "tokenizer.json").unlink()
    text = "\n".join(reported(folder))
    for part in (
        "activation_function = 'relu': dslm computes only gelu_new",
        "scale_attn_weights = False: dslm computes only true",
        "n_embd = '48': must be a whole number",
        "model.safetensors: is damaged or cut short",
        "tokenizer",
    ):
        assert part in text


def test_heads_that_do_not_divide_the_width_are_reported_by_their_name(
    folder: Path, reported: Any
) -> None:
    change(folder, n_head=5)
    assert "config.json: n_head = 5: does not divide" in reported(folder)[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 5.0}}, "rope_type = 'llama3'"),
        ({"rope_theta": 7.0}, "differs from rope_parameters.rope_theta = 500.0"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type = 'linear'"),
        ({"rope_parameters": {"type": "linear", "factor": 2.0}}, "rope_type = 'linear'"),
        ({"model_type": "mistral", "sliding_window": 8}, "model_type = 'mistral' that dslm has"),
        ({"model_type": "gpt2"}, "'LlamaForCausalLM': is no class of model_type = 'gpt2'"),
        ({"mlp_bias": True}, "mlp_bias = True: differs from attention_bias = false"),
        ({"hidden_act": ["silu"]}, "hidden_act = ['silu']: dslm computes only silu"),
        ({"quantization_config": {"bits": 4}}, "import the weights from before quantization"),
        ({"num_key_value_heads": 4}, "num_key_value_heads = 4: does not divide"),
        ({"vocab_size": 299}, "vocab_size = 299: the tokenizer has ids up to 299"),
    ],
)
def test_a_llama_of_another_kind_is_refused_with_the_key(
    settings: dict[str, Any], message: str, home: Any, theirs: Any, reported: Any
) -> None:
    folder = home(theirs("llama"))
    change(folder, **settings)
    if "vocab_size" in settings:
        weights = load_file(folder / FILE)
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            weights[name] = weights[name][:299].clone()
        save_file(weights, folder / FILE)
    lines = reported(folder)
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architectures": ["GPT2Model"]}, "it has GPT2LMHeadModel, GPT2ForSequ.*, GPT2ForTok"),
        ({"architectures": ["BertOther"], "model_type": "bert"}, "it has BertForPreTraining, B.*"),
        ({"architectures": ["T5Model"]}, "architectures = 'T5Model'.*GPT2LMHeadModel, G"),
        ({"architectures": ["T5Model"], "model_type": None}, "'T5Model'.*GPT2LMHeadModel, Llama"),
        ({"architectures": None, "model_type": "rwkv"}, "model_type = 'rwkv'"),
        ({"architectures": "GPT2LMHeadModel"}, None),
    ],
)
def test_an_unknown_architecture_is_reported_with_those_there_are(
    settings: dict[str, Any], message: str | None, folder: Path, reported: Any, tmp_path: Path
) -> None:
    change(folder, **settings)
    if message is None:
        import_folder(folder, tmp_path / "run")
    else:
        (line,) = reported(folder)
        assert re.search(message, line)


def test_a_head_that_is_said_to_be_tied_but_is_not_is_reported(folder: Path, reported: Any) -> None:
    rewrite(folder, **{"lm_head.weight": torch.ones(301, 48)})
    (line,) = reported(folder)
    rule = "lm_head.weight: differs from transformer.wte.weight, though tie_word_embeddings is true"
    assert rule in line


def test_a_head_that_is_said_to_be_there_but_is_not_is_reported(
    folder: Path, reported: Any
) -> None:
    change(folder, tie_word_embeddings=False)
    assert reported(folder) == ["lm_head.weight: is missing from the weights"]


@pytest.mark.parametrize("huge", [{"n_layer": 10**12}, {"n_embd": 6 * 10**12}])
def test_a_huge_claimed_shape_costs_nothing(
    huge: dict[str, int], folder: Path, reported: Any
) -> None:
    change(folder, **huge)
    (line,) = reported(folder)
    assert re.search(r"describes [\d,]{15,} weights, but the files hold 100,", line)


def test_a_small_storage_that_claims_to_be_a_huge_tensor_is_refused(
    folder: Path, reported: Any
) -> None:
    change(folder, n_embd=6 * 10**12)
    pickled(folder, {NORM: torch.ones(1).expand(6 * 10**12)})
    assert reported(folder)[0].endswith("is not a plain tensor; get the file again")


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_a_pickle_that_would_run_a_command_is_refused(
    folder: Path, reported: Any, tmp_path: Path
) -> None:
    pickled(folder, {NORM: Attack(tmp_path / "owned")})
    (line,) = reported(folder)
    assert "pytorch_model.bin: holds code or objects besides tensors, so it is not opened" in line
    assert not (tmp_path / "owned").exists()


def test_code_in_the_folder_is_not_run(folder: Path, tmp_path: Path) -> None:
    (folder / "modeling.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')")
    change(folder, auto_map={"AutoModelForCausalLM": "modeling.Model"})
    import_folder(folder, tmp_path / "run")
    assert not (tmp_path / "owned").exists()


def test_pickles_of_old_formats_are_refused(folder: Path, reported: Any) -> None:
    (folder / FILE).unlink()
    weights = {NORM: torch.ones(48)}
    file = folder / "pytorch_model.bin"
    torch.save(weights, file, _use_new_zipfile_serialization=False)
    assert "is not in PyTorch's format since 1.6" in reported(folder)[0]
    with tarfile.open(file, "w") as archive:
        archive.add(folder / "config.json")
    assert "is not in PyTorch's format since 1.6" in reported(folder)[0]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_pickle_that_was_cut_short_is_refused(share: float, folder: Path, reported: Any) -> None:
    pickled(folder, load_file(folder / FILE))
    file = folder / "pytorch_model.bin"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    (line,) = reported(folder)
    assert "pytorch_model.bin: is not in PyTorch's format since 1.6, or is cut short" in line


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {"a": torch.ones(2).to_sparse()}])
def test_a_pickle_of_something_else_is_refused(content: Any, folder: Path, reported: Any) -> None:
    pickled(folder, content)
    assert "get the file again" in reported(folder)[0]


@pytest.mark.parametrize("header", [b"", b"\xff" * 16, b'\x02\0\0\0\0\0\0\0{"'])
def test_a_file_that_is_no_safetensors_is_refused(
    header: bytes, folder: Path, reported: Any
) -> None:
    (folder / FILE).write_bytes(header)
    assert "model.safetensors: is damaged or cut short" in reported(folder)[0]


def test_a_missing_part_of_several_files_is_reported(home: Any, theirs: Any, reported: Any) -> None:
    folder = home(theirs("llama"), max_shard_size="60KB")
    lost = sorted(folder.glob("model-*.safetensors"))[:2]
    for file in lost:
        file.unlink()
    lines = reported(folder)
    assert [str(file) in line for file, line in zip(lost, lines, strict=True)] == [True, True]


@pytest.mark.parametrize("left", [0, 1])
def test_a_missing_part_is_named_though_only_one_is_left(
    left: int, home: Callable[..., Path], theirs: Callable[[str], Any], reported: Any
) -> None:
    folder = home(theirs("llama"), max_shard_size="100KB")
    missing = sorted(folder.glob("model-*.safetensors"))[left:]
    for file in missing:
        file.unlink()
    lines = reported(folder)
    assert [line.partition(": ")[0] for line in lines] == [*map(str, missing)]
    assert all("no such file, but the index names it" in line for line in lines)


def test_an_index_cannot_reach_out_of_its_folder(
    folder: Path, reported: Any, tmp_path: Path
) -> None:
    (folder / FILE).rename(tmp_path / FILE)
    (folder / f"{FILE}.index.json").write_text(f'{{"weight_map": {{"a": "../{FILE}"}}}}')
    assert "names files that are not beside it" in reported(folder)[0]


def test_an_empty_folder_is_reported(tmp_path: Path, reported: Any) -> None:
    (tmp_path / "empty").mkdir()
    text = "\n".join(reported(tmp_path / "empty"))
    assert "config.json: no such file" in text
    assert "tokenizer" in text


def test_a_run_that_is_there_is_not_written_over(folder: Path, tmp_path: Path, capsys: Any) -> None:
    assert run(main, ["import", str(folder), str(tmp_path / "run")]) == 0
    assert "GPT-2, " in capsys.readouterr().out
    assert run(main, ["import", str(folder), str(tmp_path / "run")]) == 2
    assert "is there already; remove it or choose another RUN" in capsys.readouterr().err


def test_a_misspelt_verb_is_reported(capsys: Any) -> None:
    assert run(main, ["exprot"]) == 2
    assert "did you mean 'export'?" in capsys.readouterr().err
