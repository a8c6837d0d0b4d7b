"""Tables of modules: a line names a module, which defines what the table asks for.

So what is added to a table is one new file and one line, its settings included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")


def class_of(package: str, name: str, ending: str = "") -> Any:
    """The class that a module defines under its own name: `fill_gaps` defines ``FillGaps``.

    Args:
        package: where the module is.
        name: the module.
        ending: what comes behind its name in that of the class, such as ``Config``.
    """
    module = import_module(f"{package}.{name}")
    return getattr(module, name.title().replace("_", "") + ending)


def with_fields(fields: Mapping[str, tuple[Any, Any]]) -> Callable[[type[T]], type[T]]:
    """Give a class more fields before it becomes a dataclass.

    Args:
        fields: the type and the default or `pydantic.Field` of each.
    """

    def extended(cls: type[T]) -> type[T]:
        cls.__annotations__ = {name: annotation for name, (annotation, _) in fields.items()}
        for name, (_, default) in fields.items():
            setattr(cls, name, default)
        return cls

    return extended
