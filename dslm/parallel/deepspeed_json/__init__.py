"""DeepSpeed's JSON, checked before DeepSpeed sees it: at any depth, all mistakes at once.

`check` is the whole of it: `schema` (which keys there are) and `value` (what each may hold),
`refused` (keys that do not fit dslm, and why), `rules` (keys that contradict each other),
`optimizer` (which optimizer DeepSpeed makes of it).
"""
