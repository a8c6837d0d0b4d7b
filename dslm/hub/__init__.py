"""Models in other people's files: Hugging Face folders in, Hugging Face folders out.

The path of a folder in: `registry` finds the `family` (one file each: `gpt2`, `llama`, `bert`) by
config.json, `stored` opens the weights, `names` finds each of ours among theirs, `importing` writes
a run. The path of a run out: `exporting` writes weights and config.json by the same tables,
the tokenizer with what `framing` adds for a model of masked tokens, and reads everything back
before the folder appears.

A new family is a file with a table of settings and a table of names, and a line in `registry`.
Nothing here needs `transformers`, runs code from a folder, or downloads anything.
"""
