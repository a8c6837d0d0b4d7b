"""Files of any kind, as bytes and lines: written whole or not at all, read whatever their packing.

`whole` writes files and `published` folders; `sniff` looks at the first bytes of a file, `streams`
opens it through its `compression` and in its `encoding`, `lines` and `arrow` go through it;
`fingerprint` gives the size and hash that identify a file, `record` the JSON file that describes a
folder.
"""
