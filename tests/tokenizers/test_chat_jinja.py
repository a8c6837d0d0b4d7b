"""Chat templates of models on the hub use more of Jinja than loops: all of it as `transformers`."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.letters import write_letters
from transformers import PreTrainedTokenizerFast

from dslm.tokenizers import chat_jinja
from dslm.tokenizers.chat import Turn
from dslm.tokenizers.chat_jinja import rendered
from dslm.tokenizers.chat_template import ChatTemplate
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer

TURNS: list[Turn] = [("user", "a <b> & 'c' é"), ("assistant", "b"), ("user", "c")]
MESSAGES = [{"role": role, "content": content} for role, content in TURNS]
LOOP = "{% for m in messages %}"
END = "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
SAME = [
    f"{LOOP}{{{{ m | tojson }}}}{END}",
    f"{LOOP}{{{{ m | tojson(indent=2, sort_keys=true) }}}}{END}",
    f"{LOOP}{{{{ m | tojson(ensure_ascii=true, separators=(',', ':')) }}}}{END}",
    f"{LOOP}{{% if loop.last %}}{{% break %}}{{% endif %}}{{{{ m.content }}}}{END}",
    f"{LOOP}{{% if m.role == 'assistant' %}}{{% continue %}}{{% endif %}}{{{{ m.content }}}}{END}",
    f"{LOOP}{{% set x = 1 %}}{{% generation %}}{{% set x = 2 %}}{{{{ m.content }}}}"
    f"{{% endgeneration %}}{{{{ x }}}}{END}",
    "{{ strftime_now('%Y') }}",
    "{{ tools is none }}{{ documents is none }}{{ tools is defined }}{{ custom is defined }}",
    "{{ bos_token is defined }}{{ bos_token }}{{ eos_token }}",
    f"{{% set ns = namespace(n=0) %}}{LOOP}{{% set ns.n = ns.n + 1 %}}{END}{{{{ ns.n }}}}",
    "{{ dict(a=1) | tojson }}{{ dict.fromkeys('ab', 2) | tojson }}",
]
REFUSED = [
    "{{ raise_exception('no chats') }}",
    "{{ nothing.at.all }}",
    "{% for m in messages %}",
    "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    "{{ messages.__class__.__mro__ }}",
    "{{ tojson.__globals__ }}{{ raise_exception.__globals__.x }}",
    "{{ strftime_now.__globals__.x }}",
    "{{ dict.update(messages[0], content='x') }}",
    "{{ namespace(__init__=1) }}",
    "{% set ns = namespace() %}{% set ns.__call__ = 1 %}",
    "{{ messages.append(1) }}",
    "{{ bos_token + 'a' }}",
    "{{ 1 / 0 }}",
    "{{ messages | sort | first }}",
    "{% include 'a' %}",
]


def made(folder: Path, template: str) -> tuple[Tokenizer, PreTrainedTokenizerFast]:
    """The tokenizer with a template, ours and that of `transformers`."""
    theirs = PreTrainedTokenizerFast.from_pretrained(write_letters(folder / "theirs", template))
    load_tokenizer(folder / "theirs").save(folder / "ours")
    return load_tokenizer(folder / "ours"), theirs


@pytest.mark.parametrize("template", SAME)
def test_what_a_template_uses_is_what_transformers_has(template: str, tmp_path: Path) -> None:
    ours, theirs = made(tmp_path, template)
    how = {"add_generation_prompt": True, "return_dict": False}
    assert ChatTemplate(ours).asked(TURNS) == theirs.apply_chat_template(MESSAGES, **how)
    text = theirs.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    words = {"eos_token": "</s>"}
    assert rendered(template, MESSAGES, add_generation_prompt=True, **words) == text


@pytest.mark.parametrize("template", REFUSED)
def test_what_transformers_refuses_is_refused_with_a_reason(template: str, tmp_path: Path) -> None:
    ours, theirs = made(tmp_path, template)
    with pytest.raises(Exception):  # noqa: B017 - of any kind
        theirs.apply_chat_template(MESSAGES)
    with pytest.raises(ValueError, match=r"^the chat template refuses it \(.+\)$"):
        ChatTemplate(ours).asked(TURNS)
    assert MESSAGES[0]["content"] == TURNS[0][1]


def test_a_template_is_compiled_once() -> None:
    template = f"{LOOP}{{{{ m.content }}}} once{END}"
    before = chat_jinja._compiled.cache_info().misses
    for _ in range(3):
        rendered(template, MESSAGES, add_generation_prompt=False)
    assert chat_jinja._compiled.cache_info().misses == before + 1
