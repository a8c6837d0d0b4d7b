"""Which rows training reads, and in which order: pure functions of (seed, sample number).

`order` permutes and mixes, `stream` cuts windows out of shard sets, `packing` and `packed` put
whole documents into rows, `pairs` draws two segments, `augment` and `augmented` change tokens, and
`stateless_random` draws by sample number, not by history. Nothing here imports torch or knows of
ranks.
"""
