"""From raw text to a trained, checked, exportable language model with DeepSpeed.

The package imports nothing heavy: torch and DeepSpeed are imported where they are used, so that
every mistake a user can make is found in under a second. ``docs/architecture.md`` is the map.
"""

__version__ = "0.1.0"
