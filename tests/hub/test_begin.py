"""What stands before a prompt, in runs that are exported and models that are imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from helpers.hub import byte_level
from tokenizers import Tokenizer, processors

from dslm.hub.exporting import export_run
from dslm.hub.importing import import_folder
from dslm.inference.complete import complete
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import load
from dslm.tokenizers.load import load_tokenizer

PROMPTS = ["the river", "", " under\n(the) stone", "naïve — 中文"]
BEGIN, END = 300, 301


def framed(*single: str) -> Tokenizer:
    model = byte_level()
    model.add_special_tokens(["<s>", "</s>"])
    special = [("<s>", BEGIN), ("</s>", END)]
    model.post_processor = processors.TemplateProcessing(single=[*single], special_tokens=special)
    return model


def saved(folder: Path, *single: str) -> Path:
    folder.mkdir()
    framed(*single).save(str(folder / "tokenizer.json"))
    return folder


def by_transformers(folder: Path, prompt: str) -> list[int]:
    ids: list[int] = transformers.AutoTokenizer.from_pretrained(folder)(prompt)["input_ids"]
    return ids


@pytest.mark.parametrize("single", [("<s>", "$A"), ("<s>", "$A", "</s>"), ("$A", "</s>"), ("$A",)])
def test_an_exported_tokenizer_puts_before_a_prompt_what_the_run_does(
    single: tuple[str, ...], make_run: Callable[..., Path], tmp_path: Path
) -> None:
    run = make_run(saved(tmp_path / "own", *single))
    export_run(run, tmp_path / "exported")
    tokenizer = load(run).tokenizer
    assert tokenizer.begin == ((BEGIN,) if single[0] == "<s>" else ())
    for prompt in PROMPTS:
        ids = tokenizer.prompt(prompt) if prompt else [*tokenizer.begin]
        assert by_transformers(tmp_path / "exported", prompt) == ids


def test_a_run_on_shards_of_before_is_exported_without_what_it_never_saw(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    run = make_run(saved(tmp_path / "own", "<s>", "$A"))
    card = json.loads((run / "tokenizer" / "card.json").read_text())
    (run / "tokenizer" / "card.json").write_text(json.dumps({**card, "begin": []}))
    export_run(run, tmp_path / "exported")
    ids = load(run).tokenizer.prompt("the river")
    assert BEGIN not in ids
    assert by_transformers(tmp_path / "exported", "the river") == ids


def test_what_is_put_around_a_text_with_masks_is_what_was_there_in_training(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    masked = {"kind": "masked"}
    shape = {
        "attention": "full",
        "transform": True,
        "norm_position": "post",
        "embedding_norm": True,
    }
    run = make_run(saved(tmp_path / "own", "<s>", "$A"), 1, masked, **shape)
    export_run(run, tmp_path / "exported")
    how = load(run).objective.completion()
    assert (how.begin, how.end) == (BEGIN, END)  # type: ignore[union-attr]
    ids = load(run).tokenizer.encode(["the river"])[0].tolist()
    assert by_transformers(tmp_path / "exported", "the river") == [BEGIN, *ids, END]


def test_an_imported_model_is_asked_as_transformers_asks_it(
    theirs: Callable[[str], Any], tmp_path: Path
) -> None:
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        **{**theirs("llama").config.to_dict(), "vocab_size": 302, "max_position_embeddings": 64}
    )
    config.bos_token_id, config.eos_token_id = BEGIN, END
    model = transformers.LlamaForCausalLM(config).eval()
    folder = saved(tmp_path / "theirs", "<s>", "$A")
    model.save_pretrained(folder)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    import_folder(folder, tmp_path / "run")
    trained = load(tmp_path / "run")
    for prompt in PROMPTS:
        ids = by_transformers(folder, prompt)
        assert trained.tokenizer.prompt(prompt) == ids
        made = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0]
        text = trained.tokenizer.decode(made.tolist())
        assert complete(trained, prompt, 12, SamplingConfig(temperature=0)) == text


def test_a_causal_model_with_the_tokenizer_of_a_masked_one_begins_as_that_does(
    home: Callable[..., Path], theirs: Callable[[str], Any], tmp_path: Path
) -> None:
    folder = home(theirs("gpt2"))
    model = framed("<s>", "$A", "</s>")
    model.add_special_tokens(["<mask>"])
    model.save(str(folder / "tokenizer.json"))
    settings = json.loads((folder / "config.json").read_text())
    assert load_tokenizer(folder).begin == ()
    wider = transformers.GPT2LMHeadModel(transformers.GPT2Config(**{**settings, "vocab_size": 304}))
    wider.save_pretrained(folder)
    import_folder(folder, tmp_path / "run")
    assert load(tmp_path / "run").tokenizer.begin == (BEGIN,)
