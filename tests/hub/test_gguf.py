"""Our runs as llama.cpp loads them: the same log-probabilities, levels and ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from helpers.llama_cpp import LlamaCpp
from helpers.models import LLAMA
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dslm.commands.cli import run as run_command
from dslm.commands.hub import main
from dslm.errors import TrainingError, UserError
from dslm.hub import exporting
from dslm.hub.exporting import export_run
from dslm.hub.gguf import file as gguf_file
from dslm.hub.gguf.blocks import blocks, floats
from dslm.inference.complete import complete
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import load, load_selected
from dslm.model.quantize import put, stored_numbers
from dslm.quantization.config import QuantizationConfig
from dslm.quantization.rounding import rounded, steps_and_levels

MakeRun = Callable[..., Path]
WIDE = {"width": 64, "sequence": 64}
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": WIDE,
    "gpt2 untied": {**WIDE, "tied": False},
    "llama": {**WIDE, **LLAMA},
    "llama untied": {**WIDE, **LLAMA, "tied": False, "rotary_base": 700.0},
    "llama of wide heads": {**WIDE, **LLAMA, "head_width": 32},
    "llama of one group": {**WIDE, **LLAMA, "key_value_heads": 1, "bias": True},
}
BERT: dict[str, Any] = {
    "objective": {"kind": "masked"},
    "attention": "full",
    "norm_position": "post",
    "activation": "gelu",
    "embedding_norm": True,
    "transform": True,
}
FLOATS = QuantizationConfig()
WAYS: dict[str, tuple[str, QuantizationConfig, str, float]] = {
    "F32": ("gguf-f32", FLOATS, "F32", 3e-3),
    "F16": ("gguf", FLOATS, "F16", 3e-3),
    "Q8_0": ("gguf", QuantizationConfig(scheme="w8a8", group_size=32), "Q8_0", 0.1),
    "Q8_0 of rows": ("gguf", QuantizationConfig(scheme="w8a8"), "Q8_0", 0.1),
    "Q4_0": ("gguf", QuantizationConfig(scheme="w4a8"), "Q4_0", 0.1),
    "Q4_0 with embeddings": ("gguf", QuantizationConfig(scheme="w4", layers="all"), "Q4_0", 0.1),
    "Q4_0 of 2 bits": ("gguf", QuantizationConfig(scheme="w2", group_size=64), "Q4_0", 0.1),
}
MAIN = [
    (shape, way) for shape in ("gpt2", "llama", "llama untied") for way in ("F32", "Q8_0", "Q4_0")
]
OTHERS = [("gpt2 untied", "F32"), ("gpt2", "Q4_0 with embeddings"), ("llama of one group", "F16")]
OTHERS += [
    ("llama of wide heads", "F32"),
    ("llama of one group", "Q8_0 of rows"),
    ("llama", "Q4_0 with embeddings"),
]


@pytest.mark.parametrize(("shape", "way"), [*MAIN, *OTHERS])
def test_llama_cpp_gives_our_log_probabilities(
    shape: str,
    way: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES[shape])
    format, how, kind, tolerance = WAYS[way]
    made = export_run(run, tmp_path / "out", None, how, format).manifest
    assert made.proof.score_difference <= 1e-5
    theirs = LlamaCpp(tmp_path / "out/model.gguf")
    ours = load(run, None, how, to_use=False).model
    tokens = torch.randint(400, (60,), generator=torch.Generator().manual_seed(2))
    for length in (1, 7, 60):
        with torch.no_grad():
            wanted = ours(tokens[None, :length])[0, -1].log_softmax(-1)
        found = theirs.scores(tokens[:length].tolist())
        assert len(found) == 400
        assert max(abs(wanted[token] - score) for token, score in found.items()) <= tolerance
    assert kind in {tensor.tensor_type.name for tensor in _tensors(tmp_path / "out").values()}


def _tensors(folder: Path) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(folder / "model.gguf").tensors}


@pytest.mark.parametrize("way", ["Q8_0", "Q8_0 of rows", "Q4_0", "Q4_0 of 2 bits"])
def test_the_file_holds_what_training_saw_bit_by_bit(
    way: str, make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES["llama"])
    format, how, kind, _ = WAYS[way]
    export_run(run, tmp_path / "out", None, how, format)
    tensors, state = _tensors(tmp_path / "out"), load(run).model.state_dict()
    parts = [f"blk.1.{name}.weight" for name in ("ffn_gate", "ffn_up", "ffn_down", "attn_output")]
    read = [gguf.quants.dequantize(tensors[n].data, tensors[n].tensor_type) for n in parts]
    assert {tensors[name].tensor_type.name for name in parts} == {kind}
    enter, leave, output = (
        rounded(state[f"layers.3.{name}.weight"], scheme.weights, scheme.group, storable=True)
        for name in ("feed_forward.enter", "feed_forward.leave", "attention.output")
        if (scheme := how.selected)
    )
    for found, wanted in zip(read, [*enter.chunk(2), leave, output], strict=True):
        assert np.array_equal(found, wanted.numpy())


def test_a_grid_that_was_chosen_for_a_text_is_kept(
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES["llama"])
    name, found = "layers.3.feed_forward.leave", list[Tensor]()

    def on_another_grid(*arguments: Any, **named: Any) -> Any:
        trained = load_selected(*arguments, **named)
        steps, levels = stored_numbers(trained.model, name)
        put(trained.model.get_submodule(name), steps * 1.5, levels.clamp(-3, 3))
        found.append(trained.model.get_submodule(name).weight)
        return trained

    monkeypatch.setattr(exporting, "load_selected", on_another_grid)
    export_run(run, tmp_path / "out", None, WAYS["Q4_0"][1], "gguf")
    tensor = _tensors(tmp_path / "out")["blk.1.ffn_down.weight"]
    read = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    assert np.array_equal(read, found[0].detach().numpy())


@given(
    bits=st.sampled_from([2, 3, 4, 8]),
    group=st.sampled_from([32, 64, None]),
    seed=st.integers(0, 99),
)
def test_blocks_are_those_of_the_gguf_package(bits: int, group: int | None, seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    weight = torch.randn(3, 64, generator=draws) * torch.rand(3, 1, generator=draws)
    weight[0, :32] = 0
    steps, levels = steps_and_levels(weight, bits, group, storable=True)
    kind, held = blocks(steps, levels.to(torch.int8), bits) or ("", None)
    wanted = rounded(weight, bits, group, storable=True)
    read = gguf.quants.dequantize(held, gguf.GGMLQuantizationType[kind])
    assert np.array_equal(read, wanted.numpy())
    assert torch.equal(floats(kind, held), wanted)
    assert kind == ("Q8_0" if bits == 8 else "Q4_0")


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_llama_cpp_continues_a_text_as_we_do(
    kind: str, make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers[kind], padding=30, **SHAPES["llama"])
    export_run(run, tmp_path / "out", format="gguf-f32")
    theirs, ours = LlamaCpp(tmp_path / "out/model.gguf"), load(run)
    for prompt in ("the river", "under", "falls\n  of light"):
        made = theirs.continued(prompt, 20)
        how = SamplingConfig(temperature=0)
        assert prompt + ours.tokenizer.decode(made) == complete(ours, prompt, len(made), how)
        assert max(made) < ours.tokenizer.vocabulary


def test_a_damaged_file_is_noticed_and_not_left(
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES["llama"])

    def damaged(*arguments: Any) -> Any:
        kind, held = blocks(*arguments) or ("", np.empty(0))
        held[-1, -1] ^= 1
        return kind, held

    monkeypatch.setattr(gguf_file, "blocks", damaged)
    with pytest.raises(TrainingError, match="is not what was to be written"):
        export_run(run, tmp_path / "here/out", None, WAYS["Q4_0"][1], "gguf")
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "how", "said"),
    [
        ({"activation": "gelu"}, FLOATS, "model.activation = 'gelu': llama.cpp has only gelu_tanh"),
        (
            BERT,
            FLOATS,
            "BERT: is no family that dslm writes for llama.cpp; use --format floats",
        ),
        (
            {},
            QuantizationConfig(scheme="w4", group_size=16),
            "quantization.group_size = 16: llama.cpp has blocks of 32 weights that share a step; "
            "round to --group-size 32",
        ),
        (
            {"width": 48},
            QuantizationConfig(scheme="w8a8"),
            "quantization.group_size: llama.cpp has blocks of 32 weights that share a step; "
            "use --format floats",
        ),
    ],
)
def test_what_llama_cpp_cannot_hold_is_refused(
    shape: dict[str, Any],
    how: QuantizationConfig,
    said: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run = make_run(trained_tokenizers["bpe"], **{**WIDE, **shape})
    with pytest.raises(UserError) as caught:
        export_run(run, tmp_path / "out", None, how, "gguf")
    assert str(caught.value).startswith(said)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("factor", "how", "said"),
    [
        (1e-6, WAYS["Q4_0"][1], "16 bits that llama.cpp has for one; use another --format"),
        (1e7, FLOATS, "numbers too large for float16; use --format gguf-f32"),
    ],
)
def test_numbers_that_16_bits_cannot_hold_are_refused(
    factor: float,
    how: QuantizationConfig,
    said: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES["llama"])

    def scaled(*arguments: Any, **named: Any) -> Any:
        trained = load_selected(*arguments, **named)
        trained.model.get_submodule("layers.3.feed_forward.leave").weight.data.mul_(factor)
        return trained

    monkeypatch.setattr(exporting, "load_selected", scaled)
    with pytest.raises(UserError, match=f"blk.1.ffn_down.weight: has .*{said}"):
        export_run(run, tmp_path / "here/out", None, how, "gguf")
    assert list((tmp_path / "here").iterdir()) == []


def test_without_the_package_it_is_said_how_to_get_it(
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES["llama"])
    monkeypatch.setattr(gguf_file, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"gguf: the package is not installed; pip install 'dslm"):
        export_run(run, tmp_path / "out", format="gguf")


def test_the_command_says_what_is_where(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path, capsys: Any
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES["llama"])
    words = ["export", str(run), str(tmp_path / "out"), "--format", "gguf", "--scheme", "w4a8"]
    assert run_command(main, words) == 0
    said = capsys.readouterr().out
    assert "gguf · llama.cpp" in said
    assert said.endswith(f"next:\n  llama-completion -m {tmp_path}/out/model.gguf -p 'Once upon'\n")
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"model.gguf", "dslm_export.json"}
