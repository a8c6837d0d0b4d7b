"""Settings as frozen dataclasses: strict, overridable by ``key=value``, self-explaining.

A settings class is ``@dataclass(config=STRICT, frozen=True, kw_only=True)`` from
`pydantic.dataclasses`, with a string under each field that says meaning and unit. The way of a
value: preset function → nested dictionary → ``--config`` file → ``key=value`` (`overrides`) →
`parse`, which reports every unknown, missing or wrongly typed key at once. `help` prints the
strings.
"""
