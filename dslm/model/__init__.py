"""The model: one definition, as a list of stages, for every layout.

`config` (shape and counts; no torch) → `stages` (the list) → `transformer` (a plain module) or
`dslm.parallel.pipeline` (DeepSpeed's pipeline). The stages are made of `embedding`, `block`
(`attention` and `feed_forward`) or `recurrent` (LSTM, GRU), and `heads`; `layers` holds the leaves
that draw their own weights.
"""
