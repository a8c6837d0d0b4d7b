"""A run: its settings, its folder, its checkpoints and metrics. Nothing here needs torch.

`config` (what can be set), `presets` (what is set for you) and `settings` (which of several values
counts) say what to run, `schedule` at which rate; `folder` knows what is where in a run's folder,
`checkpoint` and `metrics` read and write what training leaves there, and `init_from` says whether
another run's weights fit.
"""
