"""Training: settings in, a run folder with checkpoints, metrics and a report out.

`config` and `presets` (what to run) → `prepare` (every check, before torch) → `pretrain` (join the
ranks, build, restore) → `loop` (train, log, evaluate, checkpoint), with `schedule`, `metrics`,
`checkpoint` and `screen` beside it.
"""
