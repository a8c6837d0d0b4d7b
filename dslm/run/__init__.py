"""A run: its settings, its folder, its checkpoints and metrics. Nothing here needs torch.

`config` (what can be set) and `presets` (what is set for you) say what to run; `folder` knows what
lies where in a run's folder, `checkpoint` and `metrics` read and write what training leaves there,
and `init_from` says whether another run's weights fit.
"""
