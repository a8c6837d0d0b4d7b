"""HTML that is escaped by construction: text becomes markup only through `tag`."""

from __future__ import annotations

from html import escape


class Html(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: object) -> Html:
    """An element.

    Args:
        name: of the element; those without an end tag (`meta`, `br`) are not made here.
        children: markup as `Html`; any other text is escaped.
        attributes: `class_` for ``class``, `data_name` for ``data-name``; `None` leaves one out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def join(*parts: str) -> Html:
    """Several pieces one after the other, each escaped unless it is markup."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))
