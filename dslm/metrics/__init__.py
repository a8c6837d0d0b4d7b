"""The field's metrics: pure functions of what was predicted and what is right.

`classification`, `regression`, `entities`, `questions`, `overlap`, `translation` and `calibration`
are a family each, equal to the library or script that the field cites for it. `bootstrap` gives any
of them an interval. `records` is what they share: two lists must be of the same records, and a
metric of no record at all is an error everywhere, because a mean over nothing has no value.
"""
