"""The families of models by their ``model_type``, known before torch is loaded."""

from __future__ import annotations

from dslm.errors import ConfigError, Problem

SETTINGS = "config.json"
"""The file that says of which type a model is, and its shape."""
MODEL_TYPES = (
    "gpt2",
    "llama",
    "bert",
    "gpt_bigcode",
    "opt",
    "t5",
    "bart",
    "mistral",
    "mixtral",
    "qwen3",
    "qwen3_moe",
)
"""Each is also the module that defines the family; a model that several can express is written as
the first."""


def check_type(kind: object, where: str, types: tuple[str, ...] = MODEL_TYPES) -> None:
    """Refuse a ``model_type``, or where there is none a class, that no family has.

    Args:
        kind: what a config.json says.
        where: the file and the key.
        types: what the families have.

    Raises:
        ConfigError: it is none of these.
    """
    if kind not in types:
        rule, fix = "is not a shape dslm has", f"it has {', '.join(types)}"
        raise ConfigError(Problem(where, kind, rule, fix))
