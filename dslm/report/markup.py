"""HTML from the templates beside this file; what is filled in is escaped unless it is markup."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from dslm.progress import human

SEPARATORS = re.compile(r"([/_]|[.-](?=[^\W\d]))")
"""After which a long word may be broken; within a number it may not."""


def fill(template: str, **values: Any) -> Markup:
    """A template with values for its names.

    Args:
        template: its file in ``templates/``.
        values: text is escaped, `Markup` is not.
    """
    return Markup(_environment().get_template(template).render(values))


def breakable(text: object) -> Markup:
    """A text that may be broken after the separators of paths and dotted keys."""
    return Markup(SEPARATORS.sub(r"\1<wbr>", str(escape(str(text)))))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dslm.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(human=human, breakable=breakable)
    return environment
