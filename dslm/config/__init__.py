"""Settings as frozen dataclasses: strict, overridable by ``key=value``, self-explaining.

A settings class is ``@dataclass(config=STRICT, frozen=True, kw_only=True)`` from
`pydantic.dataclasses`, with a string under each field that says meaning and unit. `overrides` turns
``key=value`` words into a nested dictionary and lays one over another; `parse` makes the settings
of it and reports every unknown, missing or wrongly typed key at once. `help` prints the strings.
"""
