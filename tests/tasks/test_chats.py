"""Chats as ids: by the template of a tokenizer, as `transformers` reads it, or by ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.letters import CHAT_TEMPLATE, write_letters
from helpers.untrained import learned_run
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from dslm.commands.main import dispatch
from dslm.config.parse import parse
from dslm.errors import DataError
from dslm.objectives.base import Context
from dslm.tasks.coder import Coder
from dslm.tasks.example import Example, UnusableError
from dslm.tasks.example_set import Labelling, example_set
from dslm.tasks.text_to_text import TextToText, TextToTextConfig
from dslm.tokenizers.chat import Turn
from dslm.tokenizers.chat_template import ChatTemplate
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.tokenizers.vocabulary import Vocabulary

TURNS: list[Turn] = [
    ("system", "be kind"),
    ("user", "abc"),
    ("assistant", "cba"),
    ("user", "de <|end|> fg"),
    ("assistant", "gf"),
]
REFUSING = "{{ raise_exception('no chats') }}"
WITHOUT_THOUGHT = (
    "{% for m in messages %}{{ m.role }}:{{ m.content if loop.last else '' }}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
"""A template that writes answers otherwise when more follows."""


def made(folder: Path, template: str | None = None) -> Tokenizer:
    """The tokenizer, as a run keeps it."""
    load_tokenizer(write_letters(folder / "theirs", template)).save(folder / "ours")
    return load_tokenizer(folder / "ours")


def messages(turns: list[Turn]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


def examples(
    tokenizer: Tokenizer, turns: Any, sequence: int = 200, two_stacks: bool = False, **settings: Any
) -> list[Example]:
    config = parse(TextToTextConfig, {"records": "chats", **settings})
    coder = Coder(tokenizer, False, sequence, two_stacks=two_stacks)
    return list(TextToText.examples(config, {"messages": messages(turns)}, (), coder))


def learned(one: Example) -> list[list[int]]:
    pairs = zip(one.labels[::2], one.labels[1::2], strict=True)
    return [one.ids[int(begin) : int(end)] for begin, end in pairs]


def test_ids_are_those_of_the_template_in_transformers(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, CHAT_TEMPLATE)
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path / "theirs")
    asked = theirs.apply_chat_template(
        messages(TURNS[:4]), add_generation_prompt=True, return_dict=False
    )
    assert ChatTemplate(tokenizer).asked(TURNS[:4]) == asked
    (one,) = examples(tokenizer, TURNS)
    whole = theirs.apply_chat_template(messages(TURNS), return_dict=False)
    newline = theirs.convert_tokens_to_ids("\n")
    assert [*one.ids, newline] == whole
    end = theirs.convert_tokens_to_ids("<|end|>")
    answers = [tokenizer.encode([text])[0].tolist() for text in ("cba", "gf")]
    assert learned(one) == [[*answer, end] for answer in answers]
    assert ChatTemplate(tokenizer).end == end


def test_without_a_template_chats_are_what_pretraining_reads_with_ends(tmp_path: Path) -> None:
    tokenizer = made(tmp_path)
    (one,) = examples(tokenizer, [*TURNS[1:3], ("user", "de"), ("gpt", "ed")])
    read = "User: abc\n\nAssistant: cba\n\nUser: de\n\nAssistant: ed"
    end = tokenizer.end_of_document
    assert [number for number in one.ids if number != end] == tokenizer.encode([read])[0].tolist()
    ids = [tokenizer.encode([text])[0].tolist() for text in (" cba", " ed")]
    assert learned(one) == [[*answer, end] for answer in ids]
    assert one.reference[1]["targets"] == ["ed"]


def test_two_stacks_learn_each_answer_of_all_before_it(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, CHAT_TEMPLATE)
    first, second = examples(tokenizer, TURNS, two_stacks=True)
    chat = ChatTemplate(tokenizer)
    assert first.ids[: int(first.labels[0])] == chat.asked(TURNS[:2])
    assert second.ids[: int(second.labels[0])] == chat.asked(TURNS[:4])
    assert learned(second) == [tokenizer.encode(["gf"])[0].tolist()]


def test_a_template_that_renders_the_past_otherwise_gives_an_example_for_each_answer(
    tmp_path: Path,
) -> None:
    tokenizer = made(tmp_path, WITHOUT_THOUGHT)
    found = examples(tokenizer, TURNS)
    assert len(found) == 2
    assert tokenizer.decode(found[1].ids).endswith("assistant:gf")
    assert learned(found[1]) == [[*tokenizer.encode(["gf"])[0].tolist(), 1]]


def test_the_oldest_turns_have_no_room_first_then_the_beginning_of_the_last(
    tmp_path: Path,
) -> None:
    tokenizer = made(tmp_path)
    (one,) = examples(tokenizer, TURNS, sequence=70)
    assert one.shortened
    assert tokenizer.decode(one.ids).startswith("System: be kind\n\nUser: de ")
    assert [reference["targets"] for reference in one.reference] == [["gf"]]
    question = [("user", "abcdefghijklmnop"), ("assistant", "xyz")]
    (one,) = examples(tokenizer, question, sequence=30)
    assert tokenizer.decode(one.ids) == "User: ijklmnop\n\nAssistant: xyz"
    assert len(one.ids) == 31  # of which 30 are read
    (one,) = examples(tokenizer, question, sequence=30, cut="end")
    assert tokenizer.decode(one.ids) == "User: abcdefgh\n\nAssistant: xyz"


def test_an_export_has_the_template_and_the_end_of_an_answer(
    tmp_path: Path, deepspeed_file: Path
) -> None:
    tokenizer = made(tmp_path, "{{ bos_token }}" + CHAT_TEMPLATE)
    config = parse(TextToTextConfig, {"records": "chats"})
    (tmp_path / "chats.jsonl").write_text(f"{json.dumps({'messages': messages(TURNS)})}\n" * 20)
    how = Labelling(TextToText, config, Coder(tokenizer, False, 80))
    shards = example_set(tmp_path / "chats.jsonl", tmp_path / "set", how)
    words = ["objective.kind=text_to_text", "objective.text_to_text.records=chats"]
    words += ["model.sequence=80"]
    run = learned_run(tmp_path / "run", shards.folder, deepspeed_file, *words, steps=1)
    dispatch(["hub", "export", str(run), str(tmp_path / "out")])
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
    asked = theirs.apply_chat_template(
        messages(TURNS[:2]), add_generation_prompt=True, return_dict=False
    )
    chat = ChatTemplate(tokenizer)
    assert asked == chat.asked(TURNS[:2])
    written = json.loads((tmp_path / "out/generation_config.json").read_text())
    assert written["eos_token_id"] == chat.end != tokenizer.end_of_document
    assert written["bos_token_id"] == tokenizer.end_of_document
    assert (
        json.loads((tmp_path / "out/config.json").read_text()).items()
        >= {
            "bos_token_id": tokenizer.end_of_document,
            "eos_token_id": chat.end,
        }.items()
    )


def test_an_end_whose_id_is_zero_is_one(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, CHAT_TEMPLATE.replace("<|end|>", "<unk>"))
    assert ChatTemplate(tokenizer).end == 0
    context = Context(80, 0, False, Vocabulary.load(tmp_path / "ours"))
    chats = TextToText(parse(TextToTextConfig, {"records": "chats"}), context)
    assert chats.completion().frame.end == 0


def test_a_template_that_cannot_be_used_is_named_by_its_tokenizer(tmp_path: Path) -> None:
    made(tmp_path, REFUSING)
    context = Context(80, 0, False, Vocabulary.load(tmp_path / "ours"))
    chats = TextToText(parse(TextToTextConfig, {"records": "chats"}), context)
    with pytest.raises(DataError, match=r"ours: the chat template refuses it .no chats."):
        chats.completion()


BAD: list[tuple[Any, str]] = [
    ([("user", "a")], "holds no answer"),
    ([("assistant", "")], "holds no answer"),
    ([("user", "a"), ("assistant", "a" * 99)], "leaves no room for a source"),
]


@pytest.mark.parametrize(("turns", "reason"), BAD)
def test_a_chat_that_cannot_be_used_says_why(turns: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=reason):
        examples(made(tmp_path), turns, sequence=50)


def test_what_a_template_refuses_is_set_aside(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"the chat template refuses it .no chats."):
        examples(made(tmp_path, REFUSING), TURNS)


@pytest.mark.parametrize(
    "code",
    ["{{ messages.__class__.__mro__ }}", "{{ ''.__class__.__mro__ }}", "{{ messages.append(1) }}"],
)
def test_a_template_reaches_nothing_but_the_chat(code: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="the chat template refuses it"):
        examples(made(tmp_path, code), TURNS)
