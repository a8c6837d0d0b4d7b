"""The shard set: the folder of Arrow files between the offline stage and the online stage.

`manifest` describes it, `rows` are documents in memory, `writer` writes them into one file, and
`shard_set` opens all of them by memory map. `statistics` counts, `provenance` leads from a document
back to its text, `verify` compares every byte, `remove` takes documents out, and
`datasets_files` lets Hugging Face `datasets` open the folder.
"""
