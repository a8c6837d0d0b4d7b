"""BERT in and out: both heads with segments and padding, old files, masks and frames of texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.bert import ALONE, DRAW, PAIRED, PAIRS, SHAPE, compared, heads
from helpers.hub import BERT, change, settings_of, text, word_pieces
from helpers.models import shaken
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertTokenizer,
    FillMaskPipeline,
)

from dslm.commands import generate as generate_command
from dslm.commands import hub as hub_command
from dslm.commands.cli import run
from dslm.errors import UserError
from dslm.hub.exporting import export_run
from dslm.hub.importing import import_folder
from dslm.inference.complete import complete
from dslm.inference.evaluate import evaluate
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import load
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.shards.shard_set import ShardSet

Home = Callable[..., Path]
Theirs = Callable[[str], Any]
MakeRun = Callable[..., Path]

FILE = "model.safetensors"
NSP = "cls.seq_relationship.weight"


def test_both_heads_are_those_of_transformers_with_segments_and_padding(
    home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    model = theirs("bert")
    import_folder(home(model), tmp_path / "run")
    assert compared(load(tmp_path / "run"), model, 301) <= 1e-5


@pytest.mark.slow
def test_a_model_of_the_size_of_bert_base_gives_the_scores_of_transformers(
    home: Home, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    model = BertForPreTraining(BertConfig()).eval()
    import_folder(home(model), tmp_path / "run")
    tokens = torch.randint(30522, (2, 512), generator=DRAW)
    segments = (torch.arange(512) >= 200).long().expand(2, 512)
    real = torch.arange(512) < torch.tensor([[512], [301]])
    scores, pair = heads(load(tmp_path / "run"), tokens, segments, real)
    with torch.no_grad():
        wanted = model(tokens, attention_mask=real.long(), token_type_ids=segments)
    assert (scores - wanted.prediction_logits)[real].abs().max() <= 1e-5
    assert (pair - wanted.seq_relationship_logits).abs().max() <= 1e-5


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    save_file(change(load_file(folder / FILE)), folder / FILE)


def test_names_and_buffers_of_old_files_are_understood(
    home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    model = theirs("bert")
    folder = home(model)

    def older(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        for new, old in (("weight", "gamma"), ("bias", "beta")):
            names = [name for name in weights if name.endswith(f"LayerNorm.{new}")]
            weights |= {n.removesuffix(new) + old: weights.pop(n) for n in names}
        weights["cls.predictions.decoder.weight"] = model.get_input_embeddings().weight.clone()
        weights["cls.predictions.decoder.bias"] = weights.pop("cls.predictions.bias")
        weights["bert.embeddings.position_ids"] = torch.arange(24)[None]
        return weights

    rewrite(folder, older)
    import_folder(folder, tmp_path / "run")
    assert compared(load(tmp_path / "run"), model, 301) <= 1e-5


@pytest.mark.parametrize("named", [["BertForMaskedLM"], None])
def test_the_head_of_pairs_is_read_where_it_is(
    named: list[str] | None, home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    model = theirs("bert")
    folder = home(model)
    change(folder, architectures=named)
    import_folder(folder, tmp_path / "run")
    assert compared(load(tmp_path / "run"), model, 301) <= 1e-5
    export_run(tmp_path / "run", tmp_path / "again")
    assert settings_of(tmp_path / "again")["architectures"] == ["BertForPreTraining"]


def test_a_pooler_without_the_head_of_pairs_is_left_out(
    home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    folder = home(theirs("bert without pairs"))
    pooler = {
        "bert.pooler.dense.weight": torch.ones(48, 48),
        "bert.pooler.dense.bias": torch.ones(48),
    }
    rewrite(folder, lambda weights: {**weights, **pooler})
    config = import_folder(folder, tmp_path / "run").config
    assert (config.pair_head, config.transform) == (False, True)


def test_weights_that_a_class_must_have_are_reported(
    home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    folder = home(theirs("bert"))
    gone = ("bert.pooler.dense.weight", NSP)
    rewrite(folder, lambda weights: {n: w for n, w in weights.items() if n not in gone})
    with pytest.raises(UserError) as caught:
        import_folder(folder, tmp_path / "run")
    assert [problem.where for problem in caught.value.problems] == list(gone)


def test_biases_of_the_head_that_differ_are_reported(
    home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    folder = home(theirs("bert"))
    rewrite(folder, lambda weights: {**weights, "cls.predictions.decoder.bias": torch.ones(301)})
    with pytest.raises(UserError, match=r"decoder\.bias: differs from cls\.predictions\.bias"):
        import_folder(folder, tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"position_embedding_type": "relative_key"}, "dslm computes only absolute"),
        ({"is_decoder": True}, "is_decoder = True: dslm computes only false"),
        ({"hidden_act": "relu"}, "hidden_act = 'relu': dslm computes only gelu"),
        ({"attention_probs_dropout_prob": 0.0}, "differs from hidden_dropout_prob = 0.1"),
        ({"type_vocab_size": 3}, r"token_type_embeddings.weight = \[2, 48\]: must be \[3, 48\]"),
    ],
)
def test_a_bert_of_another_kind_is_refused_with_the_key(
    settings: dict[str, Any], message: str, home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    folder = home(theirs("bert"))
    change(folder, **settings)
    with pytest.raises(UserError, match=message):
        import_folder(folder, tmp_path / "run")


def test_a_head_with_a_weight_of_its_own_comes_and_goes_with_the_bias_that_is_used(
    home: Home, tmp_path: Path
) -> None:
    model = shaken(BertForPreTraining(BertConfig(**BERT, tie_word_embeddings=False)))
    import_folder(home(model), tmp_path / "run")
    assert compared(load(tmp_path / "run"), model, 301) <= 1e-5
    export_run(tmp_path / "run", tmp_path / "again")
    back = AutoModelForPreTraining.from_pretrained(tmp_path / "again")
    assert compared(load(tmp_path / "run"), back, 301) <= 1e-5


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_run_of_pairs_is_loaded_with_both_heads(
    kind: str, make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    folder = make_run(trained_tokenizers[kind], 7, PAIRS, **PAIRED)
    assert export_run(folder, tmp_path / "out").manifest.proof.score_difference <= 1e-5
    theirs = AutoModelForPreTraining.from_pretrained(tmp_path / "out")
    assert type(theirs) is BertForPreTraining
    trained = load(folder)
    assert compared(trained, theirs, trained.config.model.size) <= 1e-5


@pytest.mark.parametrize("segments", [0, 1, 2])
def test_a_run_without_pairs_is_loaded_for_masked_tokens(
    segments: int, make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    folder = make_run(trained_tokenizers["bpe"], 0, ALONE, **SHAPE, segments=segments)
    assert export_run(folder, tmp_path / "out").manifest.proof.score_difference <= 1e-5
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path / "out")
    assert type(theirs) is BertForMaskedLM
    tokens = torch.randint(400, (3, 32), generator=DRAW)
    with torch.no_grad():
        assert (load(folder).model(tokens) - theirs(tokens).logits).abs().max() <= 1e-5


def test_special_ids_stand_around_a_text_and_a_pair(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    folder = make_run(trained_tokenizers["unigram"], 0, PAIRS, **PAIRED)
    export_run(folder, tmp_path / "out")
    theirs, ours = AutoTokenizer.from_pretrained(tmp_path / "out"), load(folder).tokenizer
    first, second = (ids.tolist() for ids in ours.encode(["the river", "of light"]))
    cls, sep = (ours.special[name] for name in ("cls", "sep"))
    assert (theirs.cls_token_id, theirs.sep_token_id) == (cls, sep)
    assert (theirs.mask_token_id, theirs.pad_token_id, theirs.unk_token_id) == (5, 2, 0)
    assert theirs("the river").input_ids == [cls, *first, sep]
    both = theirs("the river", "of light")
    assert both.input_ids == [cls, *first, sep, *second, sep]
    assert both.token_type_ids == [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert settings_of(tmp_path / "out")["pad_token_id"] == 2


def test_a_model_of_windows_has_the_end_of_a_document_behind_a_text(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    folder = make_run(trained_tokenizers["bpe"], 0, ALONE, **SHAPE)
    export_run(folder, tmp_path / "out")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
    ids = theirs("the river", "of light")
    assert [ids.input_ids[0], ids.input_ids[-1]] == [3, 1]
    assert "token_type_ids" not in ids


def test_their_own_frame_stays(home: Home, theirs: Theirs, tmp_path: Path) -> None:
    folder = home(theirs("bert without pairs"))
    import_folder(folder, tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "again")
    file = "tokenizer.json"
    assert (tmp_path / "again" / file).read_text() == (folder / file).read_text()


def test_a_list_of_words_alone_gets_the_frame_of_bert(
    home: Home, theirs: Theirs, tmp_path: Path
) -> None:
    folder = home(theirs("bert"))
    words = word_pieces().get_vocab()
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(sorted(words, key=lambda word: words[word])))
    import_folder(folder, tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "again")
    ours, bert = (
        AutoTokenizer.from_pretrained(tmp_path / "again"),
        BertTokenizer.from_pretrained(folder),
    )
    for sample in (("the river",), ("Under the [MASK]", "light, 3.14")):
        found, wanted = ours(*sample), bert(*sample)
        assert found.input_ids == wanted.input_ids
        assert found.token_type_ids == wanted.token_type_ids


PROMPTS = ["the <mask> of light", "<mask> river", "fal <mask> <mask>(x", "under the<mask>"]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("kind", ["unigram", "bpe", "char", "bert"])
def test_masks_are_filled_as_by_transformers(
    kind: str,
    prompt: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    home: Home,
    theirs: Theirs,
    tmp_path: Path,
) -> None:
    if kind == "bert":
        folder = tmp_path / "imported"
        import_folder(home(theirs("bert")), folder)
    else:
        tokenizer = trained_tokenizers[kind]
        folder = make_run(tokenizer, int(kind == "char"), ALONE, **SHAPE)
    if kind == "char":
        prompt = prompt.replace("fal", "fa")
    export_run(folder, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "out")
    trained = load(folder)
    ids = tokenizer(prompt.replace("<mask>", tokenizer.mask_token), return_tensors="pt").input_ids
    places = ids[0] == tokenizer.mask_token_id
    assert int(places.sum()) == prompt.count("<mask>")
    with torch.no_grad():
        found = model(ids).logits[0, places]
    found[:, list(trained.tokenizer.special.values())] = -torch.inf
    ids[0, places] = found[:, : trained.tokenizer.vocabulary].argmax(-1)
    whole = tokenizer.decode(ids[0], skip_special_tokens=True)
    if "\ufffd" in whole:  # bytes that are no character, which the two libraries write differently
        whole = trained.tokenizer.decode(ids[0].tolist())
    filled = complete(trained, prompt, 0, SamplingConfig())
    assert "".join(filled.split()) == "".join(whole.split())


def test_a_tokenizer_without_a_mask_gets_the_id_that_the_objective_used(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    folder = make_run(trained_tokenizers["char"], 3, ALONE, **SHAPE)
    size = load(folder).tokenizer.vocabulary
    export_run(folder, tmp_path / "out")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert theirs.mask_token_id == size
    assert theirs("river").input_ids == load(folder).tokenizer.encode(["river"])[0].tolist()
    pipeline = FillMaskPipeline(
        model=AutoModelForMaskedLM.from_pretrained(tmp_path / "out"), tokenizer=theirs
    )
    assert len(pipeline(f"ri{theirs.mask_token}er", top_k=3)) == 3
    import_folder(tmp_path / "out", tmp_path / "again")
    again = load(tmp_path / "again")
    assert (again.objective.extra_ids, again.objective.mask) == (0, size)
    tokens = torch.arange(size + 3)[None, :32]
    assert torch.equal(again.model(tokens), load(folder).model(tokens))


@pytest.mark.parametrize(
    ("shape", "key"),
    [
        ({"attention": "full"}, "model.attention"),
        ({**SHAPE, "norm_position": "pre"}, "model.norm_position"),
        ({**SHAPE, "transform": False}, "model.transform"),
        ({**SHAPE, "embedding_norm": False}, "model.embedding_norm"),
        ({**SHAPE, "positions": "none"}, "model.positions"),
        ({**SHAPE, "key_value_heads": 2}, "model.key_value_heads"),
    ],
)
def test_a_masked_model_of_another_shape_is_refused_with_the_key(
    shape: dict[str, Any],
    key: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError) as caught:
        export_run(make_run(trained_tokenizers["bpe"], 0, ALONE, **shape), tmp_path / "out")
    assert [problem.where for problem in caught.value.problems] == [key]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shape", [{"segments": 2}, {"embedding_norm": True}, {"transform": True}])
def test_a_causal_model_with_parts_of_bert_is_refused_with_the_key(
    shape: dict[str, Any], make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"model.{next(iter(shape))} = .*GPT-2 has only"):
        export_run(make_run(trained_tokenizers["bpe"], **shape), tmp_path / "out")


@pytest.fixture
def imported(home: Home, theirs: Theirs, tmp_path: Path) -> Path:
    """A run made of a BERT."""
    import_folder(home(theirs("bert")), tmp_path / "run")
    return tmp_path / "run"


def test_an_imported_bert_is_measured_on_masks_and_pairs(imported: Path, tmp_path: Path) -> None:
    lines = "\n".join(f"{text(n, 9)}. {text(n + 99, 9)}.".replace("\n", " ") for n in range(40))
    (tmp_path / "text.txt").write_text(lines)
    reading = ReadingConfig(documents="line")
    plan = ShardingConfig(imported / "tokenizer", reading=reading)
    shard([tmp_path / "text.txt"], tmp_path / "shards", plan)
    found = evaluate(load(imported), ShardSet.open(tmp_path / "shards"))
    wanted = ("masked_loss", "masked_accuracy", "pair_loss", "pair_accuracy")
    assert tuple(found.measures) == wanted


def test_the_command_fills_masks_and_says_when_there_are_none(
    imported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(imported), "--prompt"]
    assert run(generate_command.main, [*words, "The <mask> of the river"]) == 0
    filled = capsys.readouterr().out
    assert filled.startswith("The")
    assert filled.endswith(" of the river\n")
    assert run(generate_command.main, [*words, "The river"]) == 2
    assert "--prompt = 'The river': must hold <mask>" in capsys.readouterr().err
    assert run(generate_command.main, [*words, "<mask>" * 30]) == 2
    assert "gives 32 tokens, but the model's window has 24" in capsys.readouterr().err


def test_the_commands_name_the_class_and_a_prompt_with_a_mask(
    imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(hub_command.main, ["export", str(imported), str(tmp_path / "out")]) == 0
    assert "transformers.BertForPreTraining.from_pretrained(" in capsys.readouterr().out
    assert run(hub_command.main, ["import", str(tmp_path / "out"), str(tmp_path / "b")]) == 0
    assert 'generate.py b --prompt "The <mask>"' in capsys.readouterr().out.replace(
        str(tmp_path / "b"), "b"
    )
