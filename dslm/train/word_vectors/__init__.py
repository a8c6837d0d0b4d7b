"""A token embedding that begins with word2vec or GloVe vectors.

`file` reads the vectors, `match` says which word's vector an id begins with, `embedding` scales
them and inserts them.
"""
