"""Text to token ids and back, by our own tokenizers and other people's.

The path of a folder: `third_party` says what other people's files are, `load` makes the tokenizer
of its kind; what is saved holds a `tokenizer_json` as well. The path of a text: `chunking` makes
short parts of it; `character`, `sentence_piece` or `hugging_face` turns many parts into ids at
once, through a `word_cache` with its `short_words` where that gives the same ids. `probes` holds
the texts by which a tokenizer shows what it does.
"""
