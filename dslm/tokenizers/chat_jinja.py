"""Chat templates in Jinja's sandbox, with what `transformers` gives them and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Environment, Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace


class _Generation(Extension):
    """``{% generation %}``, which marks what a model has written: its content as it is."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_content"), [], [], body).set_lineno(line)

    def _content(self, caller: Any) -> Any:
        return caller()


class _Dict:
    """``dict``, without the methods of the class, which change a mapping that is handed to them."""

    def __call__(self, *pairs: Any, **words: Any) -> dict[Any, Any]:
        return dict(*pairs, **words)

    def fromkeys(self, *arguments: Any) -> dict[Any, Any]:
        return dict.fromkeys(*arguments)


class _Namespace(Namespace):
    """``namespace``, whose attributes are none of Python's own."""

    def __init__(*pairs: Any, **words: Any) -> None:
        attributes = dict(*pairs[1:], **words)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(pairs[0], attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def rendered(template: str, messages: Sequence[Mapping[str, str]], **words: Any) -> str:
    """What a chat template makes of messages; it reaches nothing but what it is given.

    Args:
        template: its text; it is compiled once.
        messages: each with ``role`` and ``content``.
        words: what else it may name.

    Raises:
        ValueError: the template cannot be used, or refuses the chat.
    """
    try:
        made = _compiled(template)
        return made.render(messages=messages, tools=None, documents=None, **words)
    except Exception as error:  # whatever it raises, it is the template that cannot be used
        reason = "it calls itself without end" if isinstance(error, RecursionError) else error
        raise ValueError(f"the chat template refuses it ({reason})") from None


@lru_cache(maxsize=16)
def _compiled(template: str) -> Template:
    world: Any = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    world.filters["tojson"] = _json
    world.globals |= {
        "raise_exception": _refuse,
        "strftime_now": _now,
        "dict": _Dict(),
        "namespace": _Namespace,
    }
    made: Template = world.from_string(template)
    return made


def _json(
    value: Any,
    ensure_ascii: bool = False,
    indent: Any = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    """A value as JSON; Jinja's own filter writes it for a page in HTML."""
    how = {"indent": indent, "separators": separators, "sort_keys": sort_keys}
    return json.dumps(value, ensure_ascii=ensure_ascii, **how)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _refuse(reason: str) -> None:
    raise TemplateError(reason)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"{name} cannot be an attribute of a namespace")
