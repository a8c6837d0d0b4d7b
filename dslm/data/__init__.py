"""Text to tokens, tokens to shard sets, shard sets to the rows that training reads.

The way of a text: `readers` yields documents, `tokenizer` turns them into ids, `writer` puts the
ids into one Arrow file, `sharding` does so for many inputs at once and publishes the folder that
`manifest` describes. The way back: `shard_set` opens the folder, `order` says which window comes
when, `stream` gathers the rows. Nothing here imports torch or knows of processes that train.
"""
