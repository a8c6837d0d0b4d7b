"""The offline stage: files of text in, a tokenizer and shard sets out.

`read` yields documents, `clean` repairs or leaves them out, `deduplicate` finds what is there
twice, `tokenize` turns them into rows of ids, `work` shares all of it among processes and survives
their end, and `shard` is the whole of it. Only `dslm.commands` imports this room.
"""
