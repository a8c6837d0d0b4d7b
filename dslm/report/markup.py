"""HTML from the templates beside this file; what is filled in is escaped unless it is markup."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dslm.progress import human


def fill(template: str, **values: Any) -> Markup:
    """A template with values for its names.

    Args:
        template: its file in ``templates/``.
        values: text is escaped, `Markup` is not.
    """
    return Markup(_environment().get_template(template).render(values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dslm.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["human"] = human
    return environment
