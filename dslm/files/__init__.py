"""Files of any kind, as bytes and lines: written whole or not at all, read whatever their packing.

`whole` writes; `kinds` says by its first bytes what a file holds, `streams` opens it through its
`compression` and in its `encoding`, `lines` and `arrow` go through it; `fingerprint` says by which
size and hash a file is known, `record` reads and writes the JSON files that describe a folder.
"""
