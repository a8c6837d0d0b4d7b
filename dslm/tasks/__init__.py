"""Tasks: what a record of labelled data becomes, which head it needs, how it is scored."""
