"""Rounded weights in few bits: what transformers makes of them is what training saw."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from helpers.exports import TOKENS, loaded, ours, theirs, unpacked_model
from helpers.models import LLAMA
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from dslm.commands.cli import run as run_command
from dslm.commands.hub import main
from dslm.errors import UserError
from dslm.hub.compressed import compressed, packed, unpacked
from dslm.hub.exporting import export_run
from dslm.hub.importing import import_folder
from dslm.hub.manifest import AS_IN_TRAINING
from dslm.hub.unrounding import unrounded
from dslm.inference import trained
from dslm.inference.selection import Calibration
from dslm.inference.trained import load
from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.quantization.config import QuantizationConfig, Scheme
from dslm.quantization.rounding import steps_and_levels
from dslm.run.config import DataConfig
from dslm.run.init_from import open_source_run
from dslm.train.data import open_sources

Q = "model.layers.0.self_attn.q_proj"
MakeRun = Callable[..., Path]
SHAPES: dict[str, dict[str, Any]] = {
    "llama": {**LLAMA, "feed_forward": 64},
    "llama untied": {**LLAMA, "feed_forward": 64, "tied": False, "bias": True},
    "gpt2": {},
    "gpt2 untied": {"tied": False, "feed_forward": 64, "activation": "gelu"},
}
SCHEMES = {
    "w8a8": QuantizationConfig(scheme="w8a8"),
    "w8a8 grouped": QuantizationConfig(scheme="w8a8", group_size=16),
    "w4a8": QuantizationConfig(scheme="w4a8"),
    "w4": QuantizationConfig(scheme="w4", group_size=16),
    "w3": QuantizationConfig(scheme="w3"),
    "w2": QuantizationConfig(scheme="w2"),
    "w2 with the head": QuantizationConfig(scheme="w2", layers="linear"),
}


@given(bits=st.sampled_from([2, 3, 4, 8]), columns=st.integers(1, 130), seed=st.integers(0, 99))
def test_levels_are_packed_as_compressed_tensors_does(bits: int, columns: int, seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    half = 1 << (bits - 1)
    levels = torch.randint(-half, half, (3, columns), dtype=torch.int8, generator=draws)
    words = packed(levels, bits)
    assert torch.equal(words, pack_to_int32(levels, bits))
    assert torch.equal(unpacked(words, bits, columns), levels)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_transformers_computes_what_training_saw(
    scheme: str,
    shape: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run, how, out = make_run(trained_tokenizers["bpe"], **SHAPES[shape]), SCHEMES[scheme], tmp_path
    manifest = export_run(run, out / "out", None, how, "compressed-tensors").manifest
    assert (manifest.inputs == AS_IN_TRAINING) == scheme.startswith(("w8a8", "w4a8"))
    packed_model = loaded(out / "out")
    assert type(packed_model).__name__ == manifest.holder
    with torch.no_grad():
        scores = packed_model(TOKENS).logits
        assert torch.equal(scores, unpacked_model(out / "out", packed_model)(TOKENS).logits)
    assert float((scores - ours(run, how)).abs().max()) <= 1e-5
    assert float((ours(run) - ours(run, how)).abs().max()) > 1e-3


@pytest.mark.parametrize("scheme", ["w8a8", "w4a8", "w3"])
def test_transformers_computes_what_calibration_left(
    scheme: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The steps are those of the trained weights, which those of the rounded ones are not."""
    tokenizer, how, reads = trained_tokenizers["bpe"], SCHEMES[scheme], list[Path]()
    run = make_run(tokenizer, **SHAPES["llama"])
    read = trained.read_weights
    monkeypatch.setattr(
        trained, "read_weights", lambda path, *more: reads.append(path) or read(path, *more)
    )
    (tmp_path / "text").write_text("the quick brown fox " * 400)
    shards = shard([tmp_path / "text"], tmp_path / "set", ShardingConfig(tokenizer))[0]
    calibration = Calibration(shards, 16)
    export_run(run, tmp_path / "out", None, how, "compressed-tensors", calibration)
    assert len(reads) == 1
    with torch.no_grad():
        scores = loaded(tmp_path / "out")(TOKENS).logits
        left = load(run, None, how, calibration, to_use=False).model(TOKENS)
    assert float((scores - left).abs().max()) <= 1e-5
    assert float((ours(run, how) - left).abs().max()) > 1e-3


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("shape", ["llama untied", "gpt2"])
def test_what_was_written_comes_back_as_it_trains(
    scheme: str,
    shape: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run, how = make_run(trained_tokenizers["bpe"], **SHAPES[shape]), SCHEMES[scheme]
    out, again = tmp_path / "out", tmp_path / "again"
    export_run(run, out, None, how, "compressed-tensors")
    import_folder(out, again)
    assert load(again).quantization == how
    assert torch.equal(ours(again), ours(run, how))
    with torch.no_grad():
        used, before = (load(folder, None, how).model(TOKENS) for folder in (again, run))
    assert torch.equal(used, before), "whole numbers are multiplied where they were"
    export_run(again, tmp_path / "twice", format="compressed-tensors")
    files = [(folder / "model.safetensors").read_bytes() for folder in (out, tmp_path / "twice")]
    assert files[0] == files[1]


def test_without_the_manifest_weights_alone_come_back(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES["llama"])
    for scheme in ("w4", "w4a8"):
        export_run(run, tmp_path / scheme, None, SCHEMES[scheme], "compressed-tensors")
        (tmp_path / scheme / "dslm_export.json").unlink()
    import_folder(tmp_path / "w4", tmp_path / "again")
    assert load(tmp_path / "again").quantization == QuantizationConfig()
    assert torch.equal(ours(tmp_path / "again"), ours(run, SCHEMES["w4"]))
    with pytest.raises(UserError, match="as a run does only if dslm_export"):
        import_folder(tmp_path / "w4a8", tmp_path / "never")


def test_levels_on_no_grid_of_largest_magnitudes_come_back_as_floats(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES["llama"])
    name = "model.layers.0.mlp.up_proj.weight"
    for scheme in ("w4", "w4a8"):
        out = tmp_path / scheme
        export_run(run, out, None, SCHEMES[scheme], "compressed-tensors")
        tensors = load_file(out / "model.safetensors")
        tensors[f"{name}_packed"] = packed(torch.ones(64, 32, dtype=torch.int8), 4)
        save_file(tensors, out / "model.safetensors", {"format": "pt"})
    import_folder(tmp_path / "w4", tmp_path / "again")
    assert load(tmp_path / "again").quantization == QuantizationConfig()
    assert float((ours(tmp_path / "again") - theirs(tmp_path / "w4")).abs().max()) <= 1e-5
    with pytest.raises(UserError, match="use the run that was exported; a calibrated one"):
        import_folder(tmp_path / "w4a8", tmp_path / "never")


@pytest.mark.parametrize("said", [None, {"scheme": "w3"}, {"scheme": "w4"}, {"scheme": "w5"}])
def test_a_manifest_that_says_otherwise_is_refused(
    said: Any, make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES["llama"])
    export_run(run, tmp_path / "out", None, SCHEMES["w4"], "compressed-tensors")
    file = tmp_path / "out/dslm_export.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "quantization": said}))
    message = r"differs from dslm_export.json|dslm_export.json: quantization.scheme = 'w5'"
    with pytest.raises(UserError, match=message):
        import_folder(tmp_path / "out", tmp_path / "again")


@given(
    bits=st.sampled_from([2, 3, 4, 8]),
    group=st.sampled_from([1, 2, 4, 32, 48]),
    size=st.integers(-5, 3),
    sign=st.sampled_from([-1, 0, 1]),
    seed=st.integers(0, 99),
)
def test_weights_are_found_that_round_to_the_same(
    bits: int, group: int, size: int, sign: int, seed: int
) -> None:
    weight = torch.randn(5, 2 * group, generator=torch.Generator().manual_seed(seed)) * 10.0**size
    weight = weight.abs() * sign if sign else weight
    weight[0] = 0
    steps, levels = steps_and_levels(weight, bits, group, storable=True)
    found = steps_and_levels(unrounded(steps, levels, bits), bits, group, storable=True)
    assert torch.equal(found[0], steps)
    assert torch.equal(found[1], levels)


def test_levels_that_no_weights_round_to_are_refused() -> None:
    with pytest.raises(ValueError, match="no weights round"):
        unrounded(torch.ones(1, 1, 1), torch.ones(1, 1, 4), 4)


@pytest.mark.parametrize(("size", "kind"), [(1.0, torch.float16), (1e-5, torch.float32)])
def test_steps_have_16_bits_where_nothing_is_lost(size: float, kind: torch.dtype) -> None:
    weight = torch.randn(4, 64, generator=torch.Generator().manual_seed(0)) * size
    steps, levels = (part.flatten(1) for part in steps_and_levels(weight, 4, 32, storable=True))
    maps, scheme = {"map": (steps, levels.to(torch.int8))}, Scheme(4, None, 32)
    made = compressed({"map.weight": weight}, maps, scheme, "pack-quantized")
    assert made["map.weight_scale"].dtype == kind
    assert torch.equal(made["map.weight_scale"].float(), steps)


@pytest.mark.parametrize(
    ("shape", "how", "said"),
    [
        ({"norm_epsilon": 1e-6}, SCHEMES["w4"], r"Conv1D\) random; use --format floats"),
        ({"norm_epsilon": 1e-6}, SCHEMES["w4"], r"model\.norm_epsilon = 1e-06: OPT has only 1e-05"),
        (SHAPES["llama"], QuantizationConfig(scheme="w4", layers="all"), "rounds embeddings"),
        (SHAPES["llama"], QuantizationConfig(), "choose a --scheme"),
    ],
)
def test_what_cannot_be_written_is_refused(
    shape: dict[str, Any],
    how: QuantizationConfig,
    said: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run = make_run(trained_tokenizers["bpe"], **shape)
    with pytest.raises(UserError, match=said):
        export_run(run, tmp_path / "out", quantization=how, format="compressed-tensors")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scheme", "w5"], "--scheme = 'w5': there is no such one; choose from none, w8a8"),
        (["--format", "ggml"], "--format = 'ggml': there is no such one; choose from floats,"),
        (["--group-size", "8"], "--group-size = 8: means nothing without a scheme"),
        (["--scheme", "w4", "--group-size", "24"], "= 24: does not divide model.width = 32"),
    ],
)
def test_a_mistake_in_the_command_is_one_line(
    words: list[str],
    said: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = make_run(trained_tokenizers["bpe"], feed_forward=48)
    assert run_command(main, ["export", str(run), str(tmp_path / "out"), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "out").exists()


def test_an_exported_folder_is_neither_a_run_nor_a_shard_set(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run, out = make_run(trained_tokenizers["bpe"], **SHAPES["llama"]), tmp_path / "out"
    export_run(run, out, None, SCHEMES["w4"], "compressed-tensors")
    said = r"is not the folder of a run.*make a run of it: dslm hub import"
    with pytest.raises(UserError, match=said):
        open_source_run(str(out))
    with pytest.raises(UserError, match=said):
        export_run(out, tmp_path / "twice")
    with pytest.raises(UserError, match="the folder is not a shard set"):
        open_sources(DataConfig(train=str(out)))


def _changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change the tensors of a folder."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, {"format": "pt"})


@pytest.mark.parametrize(
    ("end", "value"),
    [
        ("weight_scale", torch.ones(32)),
        ("weight_scale", torch.ones(())),
        ("weight_scale", torch.ones(32, 2, dtype=torch.int32)),
        ("weight_shape", torch.tensor(32)),
        ("weight_shape", torch.tensor([32.0, 32.0])),
        ("weight_shape", torch.tensor([32, 32, 1])),
        ("weight_packed", torch.ones(32, 4)),
        ("weight_packed", torch.ones(32, 5, dtype=torch.int32)),
    ],
)
def test_tensors_that_contradict_each_other_are_refused(
    end: str,
    value: torch.Tensor,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES["llama"])
    export_run(run, tmp_path / "out", None, SCHEMES["w4"], "compressed-tensors")
    _changed(tmp_path / "out", lambda t: t.update({f"{Q}.{end}": value}))
    with pytest.raises(UserError, match=r"quantization_config: does not fit model\.safetensors"):
        import_folder(tmp_path / "out", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_weight_of_ours_that_is_rounded_in_part_is_refused(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run, out = make_run(trained_tokenizers["bpe"], **SHAPES["llama"]), tmp_path / "out"
    export_run(run, out, None, SCHEMES["w4"], "compressed-tensors")

    def unpack(tensors: dict[str, torch.Tensor]) -> None:
        rows, columns = tensors.pop(f"{Q}.weight_shape").tolist()
        for end in ("packed", "scale"):
            del tensors[f"{Q}.weight_{end}"]
        tensors[f"{Q}.weight"] = torch.zeros(rows, columns)

    _changed(out, unpack)
    with pytest.raises(UserError, match=rf"rounds only some of {Q}.weight, "):
        import_folder(out, tmp_path / "again")


def test_a_format_that_is_none_is_a_mistake(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"format = 'float': there is no such format; .*floats"):
        export_run(make_run(trained_tokenizers["bpe"]), tmp_path / "out", format="float")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["quant_method"], "gptq"),
        (["config_groups"], {}),
        (["config_groups", "group_0", "weights", "symmetric"], False),
        (["config_groups", "group_0", "weights", "num_bits"], 5),
        (["config_groups", "group_0", "weights", "num_bits"], "4"),
        (["config_groups", "group_0", "weights", "num_bits"], 4.0),
        (["config_groups", "group_0", "input_activations"], {"num_bits": 8, "dynamic": False}),
        (["format"], "marlin-24"),
        (["config_groups", "group_0", "weights", "group_size"], 8),
        (["config_groups", "group_0", "weights", "actorder"], "group"),
    ],
)
def test_another_way_of_quantizing_is_refused(
    path: list[str],
    value: Any,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run = make_run(trained_tokenizers["bpe"], **SHAPES["llama"])
    export_run(run, tmp_path / "out", quantization=SCHEMES["w4"], format="compressed-tensors")
    file = tmp_path / "out/config.json"
    settings = json.loads(file.read_text())
    node = settings["quantization_config"]
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    file.write_text(json.dumps(settings))
    with pytest.raises(UserError, match="quantization_config"):
        import_folder(tmp_path / "out", tmp_path / "again")
    assert not (tmp_path / "again").exists()
