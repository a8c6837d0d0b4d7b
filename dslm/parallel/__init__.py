"""Ranks, layouts and DeepSpeed: the only room that imports it, and only when a run starts.

`world` (which rank this is) → `deepspeed_json` (is the JSON right) → `plan` (grid, batch
arithmetic) and `memory` (what a rank will hold) → `zero` or `pipeline`, two kinds of `engine` with
the same methods → `state` (whole tensors out of and into any layout).
"""
