"""Models in other people's files: Hugging Face folders in, these and others out.

The path of a folder in: `registry` finds the `family` (one file each: `gpt2`, `llama`, `mistral`,
`bert`, `t5`, `bart`, and `gpt_bigcode` and `opt`, which hold GPT-2's shape as linear maps;
`variants` have other heads) by config.json, `labels` reads what that says of a task, `stored` opens
the weights, `compressed` those of few bits, `names` finds each of ours among theirs, `pairing` the
ids around source and target, `importing` writes a run, whose rounded weights `unrounding` finds.
The path of a run out: `exporting` has a format of `formats` write it (`floats`, `packed`: a
`model_folder` by the same tables, the tokenizer with what `framing` adds for a model of masked
tokens, of two stacks or of a task; `gguf`: a file for llama.cpp) and read it back, `proof`
compares the losses, and `manifest` says so, before the folder appears.

A new family is a file with a table of settings and a table of names, and a line in `registry`; a
new format is a module with three functions, and a line in `formats`.
Nothing here needs `transformers`, runs code from a folder, or downloads anything.
"""
